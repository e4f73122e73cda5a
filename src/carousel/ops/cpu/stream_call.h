// One step of one or several layers, as it comes from Python: memory, sizes, and nothing that outlives the step.
#pragma once
#include <cstdint>
#include "cells.h"

namespace carousel {

// What a layer's weights are called here, in the order of a module's parameters.
#define CAROUSEL_STREAMED(X) \
    X(W) X(R) X(b) X(b_recurrent) X(P) X(p) X(G) X(input_gain) X(input_bias) X(recurrent_gain) X(recurrent_bias) X(cell_gain) X(cell_bias)

struct LayerStep {
    int64_t inputs = 0, hidden = 0, output = 0;
#define CAROUSEL_FIELD(name) const void* name = nullptr;
    CAROUSEL_STREAMED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
};

enum StateName { kHidden, kCell, kSent, kStates };

struct Step {
    Row row;
    int compiled = -1;  // which row of the table this is, or -1
    int64_t batch = 0;
    bool residual = false;
    double zoneout_hidden = 0, zoneout_cell = 0;  // how much of the old state stays
    const LayerStep* layers = nullptr;
    int count = 0;
    const void* x = nullptr;
    const void* before[kStates] = {};  // (layers, batch, units) each; null where the row has none
    void* after[kStates] = {};
    void* outputs = nullptr;  // (batch, output) of the last layer, or null
};

}  // namespace carousel
