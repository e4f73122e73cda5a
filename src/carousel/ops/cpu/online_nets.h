// Numbers of several nets side by side: every vector holds one of each.
#pragma once
#include "online_call.h"
#include "squash.h"

namespace carousel::CAROUSEL_TARGET {

using Net = Vec<double>;
using NetMask = Bits<double>;

struct NetNumbers {
    double* to = nullptr;

    Net operator[](int64_t at) const { return load(to + at * kNets); }
    void set(int64_t at, Net value) const { store(to + at * kNets, value); }
    void add(int64_t at, Net value) const { set(at, (*this)[at] + value); }
    NetNumbers from(int64_t at) const { return {to + at * kNets}; }
};

}  // namespace carousel::CAROUSEL_TARGET
