// The log-probabilities of blank and label at every place of a transducer's lattice, and their gradients: all other symbols
// are summed and forgotten, so that no tensor of all places and symbols is made.
#pragma once
#include "squash.h"
#include "transducer_call.h"

namespace carousel::CAROUSEL_TARGET {

inline double logarithm(double x) { return __builtin_log(x); }
inline float logarithm(float x) { return __builtin_logf(x); }

template <class T> inline Bits<T> lanes_below(int count) {
    Bits<T> lane{};
    for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
    return lane < Bits<T>{} + typename BitsOf<T>::type(count);
}

// The scores of all symbols at one place: one row, or the sum of two.
template <class T> struct Scores {
    const T *row, *added;

    T at(int64_t k) const { return added ? row[k] + added[k] : row[k]; }
    Vec<T> from(int64_t k, int count) const { return added ? load(row + k, count) + load(added + k, count) : load(row + k, count); }
};

// log Σ exp of the scores of all symbols.
template <class T> T log_sum(const Scores<T>& scores, int64_t symbols) {
    const auto lanes = [&](int64_t k) { return int(symbols - k < kLanes<T> ? symbols - k : kLanes<T>); };
    Vec<T> greatest = broadcast(scores.at(0));
    for (int64_t k = 0; k < symbols; k += kLanes<T>) {
        const int left = lanes(k);
        greatest = larger<T>(greatest, lanes_below<T>(left) ? scores.from(k, left) : greatest);
    }
    T most = greatest[0];
    for (int i = 1; i < kLanes<T>; ++i) most = greatest[i] > most ? greatest[i] : most;
    Vec<T> total{};
    for (int64_t k = 0; k < symbols; k += kLanes<T>) {
        const int left = lanes(k);
        total += lanes_below<T>(left) ? exponential<T>(scores.from(k, left) - most) : Vec<T>{};
    }
    return most + logarithm(sum<T>(total));
}

template <class T> class Emissions {
public:
    explicit Emissions(const TransducerCall& call) : call_(call) {}

    int64_t rows() const { return call_.batch * call_.time; }

    // One frame of one sequence. Places outside of the sequence are zero.
    void forward(int64_t row) const {
        const int64_t u_end = positions(row);
        for (int64_t u = 0; u < call_.positions; ++u) {
            const Scores<T> scores = scores_of(row, u);
            const T normalizer = u < u_end ? log_sum(scores, call_.symbols) : T(0);
            at(call_.normalizer)[row * call_.positions + u] = normalizer;
            at(call_.log_blank)[row * call_.positions + u] = u < u_end ? scores.at(call_.blank) - normalizer : T(0);
            if (u + 1 < call_.positions)
                at(call_.log_label)[row * (call_.positions - 1) + u] = u + 1 < u_end ? scores.at(label(row, u)) - normalizer : T(0);
        }
    }

    // The gradient of a tensor of all scores.
    void backward(int64_t row) const {
        const int64_t u_end = positions(row), symbols = call_.symbols;
        T* gradient = at(call_.grad_scores) + row * call_.positions * symbols;
        memset(gradient, 0, size_t(call_.positions * symbols) * sizeof(T));
        for (int64_t u = 0; u < u_end; ++u) add(row, u, u_end, gradient + u * symbols, nullptr);
    }

    // The gradients of a sequence's two parts, of which every place has the sum.
    void backward_of_sum(int64_t sequence) const {
        const int64_t symbols = call_.symbols, first = sequence * call_.time;
        T* prediction = at(call_.grad_prediction) + sequence * call_.positions * symbols;
        T* scores = at(call_.grad_scores) + first * symbols;
        memset(prediction, 0, size_t(call_.positions * symbols) * sizeof(T));
        memset(scores, 0, size_t(call_.time * symbols) * sizeof(T));
        for (int64_t t = 0; t < call_.time; ++t)
            for (int64_t u = 0, u_end = positions(first + t); u < u_end; ++u)
                add(first + t, u, u_end, scores + t * symbols, prediction + u * symbols);
    }

private:
    static T* at(void* tensor) { return static_cast<T*>(tensor); }

    // How many positions a frame has: none after the end.
    int64_t positions(int64_t row) const {
        const int64_t sequence = row / call_.time;
        if (row % call_.time >= static_cast<const int64_t*>(call_.frames)[sequence]) return 0;
        return static_cast<const int64_t*>(call_.counts)[sequence] + 1;
    }

    int64_t label(int64_t row, int64_t u) const {
        return static_cast<const int64_t*>(call_.labels)[row / call_.time * (call_.positions - 1) + u];
    }

    Scores<T> scores_of(int64_t row, int64_t u) const {
        if (!call_.prediction) return {at(call_.scores) + (row * call_.positions + u) * call_.symbols, nullptr};
        return {at(call_.scores) + row * call_.symbols, at(call_.prediction) + (row / call_.time * call_.positions + u) * call_.symbols};
    }

    int lanes_left(int64_t k) const { return int(call_.symbols - k < kLanes<T> ? call_.symbols - k : kLanes<T>); }

    // Adds what one place gives to the gradients of its scores.
    void add(int64_t row, int64_t u, int64_t u_end, T* first, T* second) const {
        const bool labelled = u + 1 < u_end;
        const T blank = at(call_.grad_blank)[row * call_.positions + u];
        const T emitted = labelled ? at(call_.grad_label)[row * (call_.positions - 1) + u] : T(0);
        const Scores<T> scores = scores_of(row, u);
        const T normalizer = at(call_.normalizer)[row * call_.positions + u], share = -(blank + emitted);
        for (int64_t k = 0; k < call_.symbols; k += kLanes<T>) {
            const int left = lanes_left(k);
            const Vec<T> each = exponential<T>(scores.from(k, left) - normalizer) * share;
            store(first + k, load(first + k, left) + each, left);
            if (second) store(second + k, load(second + k, left) + each, left);
        }
        const int64_t next = labelled ? label(row, u) : call_.blank;
        first[call_.blank] += blank, first[next] += emitted;
        if (second) second[call_.blank] += blank, second[next] += emitted;
    }

    const TransducerCall& call_;
};

}  // namespace carousel::CAROUSEL_TARGET
