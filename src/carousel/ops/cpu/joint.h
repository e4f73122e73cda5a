// The joint network of a transducer for searches: one frame, a few label sequences, no gradients.
#pragma once
#include "joint_call.h"
#include "stream.h"
#include "transducer.h"

namespace carousel::CAROUSEL_TARGET {

// W_p p_u of one label sequence.
template <class T> void relate(const JointCall& call) {
    dot_rows<T>({in<T>(call.of_labels), int(call.width), int(call.features)}, {in<T>(call.prediction), 0}, {static_cast<T*>(call.said), 0}, 1);
}

template <class T> void log_softmax(const Scores<T>& scores, int64_t symbols, double* to) {
    const T normalizer = log_sum(scores, symbols);
    for (int64_t k = 0; k < symbols; ++k) to[k] = double(scores.at(k) - normalizer);
}

// Log-probabilities of all symbols after each label sequence.
template <class T> void join(const JointCall& call) {
    const T* frame = in<T>(call.frame);
    if (!call.output) {
        for (int64_t b = 0; b < call.count; ++b) log_softmax<T>({frame, in<T>(call.heard[b])}, call.symbols, call.log_probs + b * call.symbols);
        return;
    }
    Buffer<T> hidden(size_t(call.count * call.width)), scores(size_t(call.count * call.symbols));
    for (int64_t b = 0; b < call.count; ++b) {
        const Scores<T> sums{frame, in<T>(call.heard[b])};
        each(int(call.width), kLanes<T>, [&](int u, int n) { store(hidden + b * call.width + u, squash<T>(Squash::tanh, sums.from(u, n)), n); });
    }
    dot_rows<T>({in<T>(call.output), int(call.symbols), int(call.width), in<T>(call.bias)}, {hidden, call.width}, {scores, call.symbols}, call.count);
    for (int64_t b = 0; b < call.count; ++b) log_softmax<T>({scores + b * call.symbols, nullptr}, call.symbols, call.log_probs + b * call.symbols);
}

}  // namespace carousel::CAROUSEL_TARGET
