// What Python hands over to learn online: streams of several nets, each one recurrent layer and a readout.
#pragma once
#include <cstdint>
#include "cells.h"

namespace carousel {

inline constexpr int kNets = 8;  // numbers of so many nets lie side by side, whatever the width of vectors

// Names and order of all tensors of a call. All but the streams have the nets' numbers side by side: (groups, size, kNets).
// From `covariance` on six are a Kalman filter's: `positions` of the weights that it estimates, one estimate's after the other's, and where each `ends`,
// are of all nets; a covariance is a lower triangle, row by row.
#define CAROUSEL_ONLINE_TENSORS(X) \
    X(inputs) X(targets) X(flags) X(results) X(rate) X(momentum) X(weights) X(learned) X(gradient) X(velocity) X(state) X(influence) X(scratch) \
    X(covariance) X(noise) X(annealing) X(measured) X(positions) X(ends) \
    X(trials) X(tolerance) X(fading) X(ended) X(lengths)

// Those that come as streams: (time, net) strides in numbers, 0 for what all nets share; the last axis contiguous.
#define CAROUSEL_ONLINE_STRIDED(X) X(inputs) X(targets) X(flags)

// Sizes, the sizes of memory for a group, and options, in this order. `gates`: gates recur; `everywhere`: into the candidate too.
#define CAROUSEL_ONLINE_SIZES(X) \
    X(time) X(nets) X(inputs) X(hidden) X(outputs) X(weights) X(state) X(influence) X(scratch) \
    X(squash) X(exact) X(training) X(entropy) X(shortcut) X(gates) X(symbols) \
    X(covariance) X(measured) X(ends) \
    X(most) X(longest) X(enough)

// What happens at a step of a net.
enum OnlineFlag : uint8_t { kReset = 1, kTarget = 2, kUpdate = 4, kStart = 8 };

struct OnlineStride { int64_t time = 0, net = 0; };

struct OnlineCall {
    Row row;
#define CAROUSEL_FIELD(name) int64_t name##_size = 0;
    CAROUSEL_ONLINE_SIZES(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
#define CAROUSEL_FIELD(name) void* name = nullptr;
    CAROUSEL_ONLINE_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
#define CAROUSEL_FIELD(name) OnlineStride name##_stride;
    CAROUSEL_ONLINE_STRIDED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    int threads = 1;
};

}  // namespace carousel
