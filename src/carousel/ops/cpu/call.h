// What Python hands over in one call, and the table of functions that each instruction set fills.
#pragma once
#include <cstdint>
#include "cells.h"
#include "joint_call.h"
#include "online_call.h"
#include "stream_call.h"
#include "transducer_call.h"

namespace carousel {

// Names and order of all tensors of a call; Python reads them from the module.
#define CAROUSEL_TENSORS(X) \
    X(x) X(W) X(b) X(b_recurrent) X(gates) X(initial_hidden) X(initial_cell) X(initial_gates) X(R) X(p) X(G) X(P) X(norm_recurrent) X(norm_cell) \
    X(fresh_hidden) X(fresh_cell) X(fresh_gates) X(lengths) X(reset) X(zoneout_hidden) X(zoneout_cell) X(drop_hidden) X(drop_candidate) \
    X(outputs) X(last_hidden) X(last_cell) X(last_gates) X(activations) X(cells) X(normalized) X(deviation) \
    X(grad_outputs) X(grad_last_hidden) X(grad_last_cell) X(grad_last_gates) \
    X(grad_gates) X(grad_x) X(grad_W) X(grad_b) X(grad_R) X(grad_p) X(grad_G) X(grad_P) X(grad_norm_recurrent) X(grad_norm_cell) \
    X(grad_initial_hidden) X(grad_initial_cell) X(grad_initial_gates) X(grad_fresh_hidden) X(grad_fresh_cell) X(grad_fresh_gates)

// Those whose rows lie anywhere: (time, batch) strides in numbers, the last axis contiguous.
#define CAROUSEL_STRIDED(X) X(x) X(grad_outputs) X(zoneout_hidden) X(zoneout_cell) X(drop_hidden) X(drop_candidate)

struct Stride { int64_t time = 0, batch = 0; };

struct Call {
    Row row;
    int compiled;  // which row of the table this is, or -1
    int64_t time, batch, inputs, hidden, output;
    bool reverse, training, accumulate, half;  // half: products in bfloat16, where the processor has them
    int threads;
#define CAROUSEL_FIELD(name) void* name = nullptr;
    CAROUSEL_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
#define CAROUSEL_FIELD(name) Stride name##_stride;
    CAROUSEL_STRIDED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
};

// Networks of equal sizes: each tensor of the next one lies so many bytes further on, or is the same one.
struct PopulationCall {
    const Call* first;
    const int64_t* apart;  // one number for each tensor of a call
    int64_t count;
    int threads;
    void (*run)(const Call&);  // one network
};

// Names and order of all tensors of a step that is given its pre-activations, dense: (batch, units, places), the states before with
// predecessors in front, peepholes (peepholes, cells, places), gain and bias (2, cells). All gradients are wanted, or none.
#define CAROUSEL_STEP_TENSORS(X) \
    X(pre) X(previous) X(p) X(norm) X(hidden) X(cell) X(activations) \
    X(grad_hidden) X(grad_cell) X(grad_activations) X(grad_pre) X(grad_previous) X(grad_p) X(grad_norm)

struct StepCall {
    Row row;
    int compiled;
    int64_t predecessors, batch, cells, places;
    int threads;
#define CAROUSEL_FIELD(name) void* name = nullptr;
    CAROUSEL_STEP_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
};

inline constexpr int kKinds = 2;  // float, double

struct Target {
    const char* name;
    void (*forward[kKinds])(const Call&);
    void (*backward[kKinds])(const Call&);
    void (*stream[kKinds])(const Step&);
    void (*step[kKinds])(const StepCall&);
    void (*step_backward[kKinds])(const StepCall&);
    void (*squash[kKinds])(Squash, const void* from, void* to, int64_t count);
    void (*online)(const OnlineCall&);  // doubles
    void (*population[kKinds])(const PopulationCall&);
    void (*emissions[kKinds])(const TransducerCall&);
    void (*emissions_backward[kKinds])(const TransducerCall&);
    void (*relate[kKinds])(const JointCall&);
    void (*join[kKinds])(const JointCall&);
};

}  // namespace carousel
