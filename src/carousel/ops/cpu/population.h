// Small networks of equal sizes, side by side: every vector holds one number of each of several, so that even a cell of a
// few units fills it, and a weight is read once for several sequences.
#pragma once
#include "loop.h"
#include "squash.h"
#include "step.h"

namespace carousel::CAROUSEL_TARGET {

// The call of one network, on one thread.
inline Call member(const PopulationCall& population, int64_t number) {
    Call call = *population.first;
    size_t at = 0;
#define CAROUSEL_FIELD(name) \
    if (call.name) call.name = static_cast<char*>(call.name) + number * population.apart[at]; \
    ++at;
    CAROUSEL_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    call.threads = 1;
    return call;
}

template <class T, Squash kind> void squash_row(T* values, int count) {
    for (int at = 0; at < count; at += kLanes<T>) store(values + at, squash<T>(kind, load(values + at)));
}
template <class T> void squash_row(Squash kind, T* values, int count) {
    switch (kind) {
        case Squash::sigmoid: return squash_row<T, Squash::sigmoid>(values, count);
        case Squash::tanh: return squash_row<T, Squash::tanh>(values, count);
        case Squash::identity: return;
        case Squash::g1997: return squash_row<T, Squash::g1997>(values, count);
        case Squash::h1997: return squash_row<T, Squash::h1997>(values, count);
        case Squash::hard_sigmoid: return squash_row<T, Squash::hard_sigmoid>(values, count);
        case Squash::softsign: return squash_row<T, Squash::softsign>(values, count);
        case Squash::relu: return squash_row<T, Squash::relu>(values, count);
    }
}

// The learned gates in their order: -1 for one that is not.
struct Learned {
    int at[kGates], count = 0;

    explicit Learned(const Row& row) {
        for (int g = 0; g < kGates; ++g) at[g] = learned(row, g) ? count++ : -1;
    }
};

// One vector of networks through all steps.
//
// A unit's weights lie side by side in the order bias, inputs, h; there the learned gates, and there the networks. What they
// multiply lies likewise, inputs and h of each sequence, twice: a step reads one and writes the other.
template <class T> class Abreast {
public:
    static constexpr int kWidth = kLanes<T>, kFewest = kWidth / 4 > 1 ? kWidth / 4 : 2;

    // Whether networks had better run so: plain rows of few weights, and masks of time that all have in common.
    static bool takes(const PopulationCall& population) {
        const Call &call = *population.first, last = member(population, population.count - 1);
        const Layout layout(call.row, int(call.hidden));
        if (population.count < kFewest || call.half || call.training) return false;
        if (call.P || call.row.block > 1 || call.row.norm != Norm::none || layout.sent) return false;
        if (call.zoneout_hidden || call.zoneout_cell || call.drop_hidden || call.drop_candidate) return false;
        if (last.lengths != call.lengths || last.reset != call.reset) return false;
        for (int g = 0; g < kGates; ++g)
            if (learned(call.row, g) && gate_of(call.row, g).recurrent != Recurrent::hidden) return false;
        return double(layout.rows) * double(call.inputs + call.hidden) * kBytes <= kMostBytes;
    }

    Abreast(const PopulationCall& population, int64_t first)
        : loop(*population.first), call(loop.call), layout(loop.layout), any{call.row}, equations{any}, gates(call.row),
          hidden(loop.hidden), inputs(call.x ? int(call.inputs) : 0), depth(inputs + hidden), nets(int(population.count - first < kWidth ? population.count - first : kWidth)),
          weights(size_t(hidden) * size_t(1 + depth) * size_t(gates.count) * kWidth),
          peepholes(size_t(layout.peepholes) * size_t(hidden) * kWidth),
          sources(2 * size_t(loop.batch) * size_t(depth) * kWidth), cells(size_t(loop.batch) * size_t(hidden) * kWidth),
          pre(size_t(kAtOnce) * size_t(gates.count) * size_t(hidden) * kWidth), out(size_t(hidden) * kWidth), active(size_t(loop.batch)) {
        for (int lane = 0; lane < kWidth; ++lane) each[lane] = member(population, first + least(lane, nets - 1));
        pack();
    }

    void run() {
        for (int b = 0; b < loop.batch; ++b)
            if (!loop.length(b)) finish(b, true);
        for (int s = 0; s < loop.time; ++s) step(call.reverse ? loop.time - 1 - s : s, s & 1);
    }

private:
    static constexpr int kAtOnce = kManyRegisters ? 4 : 2;  // sequences that share the weights they read
    static constexpr double kMostBytes = 600e3;             // of the weights of a vector of networks: they stay in the second-level cache

    const Loop<T> loop;
    const Call& call;
    const Layout& layout;
    const Any any;
    const Equations<T, Any> equations;
    const Learned gates;
    const int hidden, inputs, depth, nets;
    Buffer<T> weights, peepholes, sources, cells, pre, out;
    Buffer<int> active;
    Call each[kWidth];  // of the networks; where there are no more, the last one again

    T* source(int parity, int b) const { return sources + (size_t(parity) * size_t(loop.batch) + size_t(b)) * size_t(depth) * kWidth; }
    T* cell(int b) const { return cells + size_t(b) * size_t(hidden) * kWidth; }
    T* gate(T* of, int g) const { return of + size_t(gates.at[g]) * size_t(hidden) * kWidth; }

    // One number of each network.
    Vec<T> gather(void* Call::*tensor, size_t at) const {
        Vec<T> numbers{};
        for (int lane = 0; lane < kWidth; ++lane) numbers[lane] = static_cast<const T*>(each[lane].*tensor)[at];
        return numbers;
    }
    void scatter(void* Call::*tensor, size_t at, const T* numbers) const {
        for (int lane = 0; lane < nets; ++lane) {
            T* to = static_cast<T*>(each[lane].*tensor) + at;
            for (int u = 0; u < hidden; ++u) to[u] = numbers[u * kWidth + lane];
        }
    }

    void pack() {
        T* to = weights;
        const auto put = [&](Vec<T> numbers) { store(to, numbers), to += kWidth; };
        for (int u = 0; u < hidden; ++u)
            for (int k = -1; k < depth; ++k)
                for (int g = 0; g < kGates; ++g)
                    if (learned(call.row, g)) put(k < 0 ? bias(g, u) : weight(g, u, k));
        to = peepholes;
        for (int at = 0; at < layout.peepholes * hidden; ++at) put(gather(&Call::p, size_t(at)));
    }
    Vec<T> bias(int g, int u) const {
        if (!call.b) return Vec<T>{};
        const Vec<T> own = gather(&Call::b, size_t(layout.rows_at[g] + u));
        return call.b_recurrent ? own + gather(&Call::b_recurrent, size_t(layout.recurrent_at[g] + u)) : own;
    }
    Vec<T> weight(int g, int u, int k) const {
        if (k < inputs) return gather(&Call::W, size_t(layout.rows_at[g] + u) * size_t(inputs) + size_t(k));
        return gather(&Call::R, size_t(layout.recurrent_at[g] + u) * size_t(hidden) + size_t(k - inputs));
    }

    void step(int t, int parity) {
        int count = 0;
        for (int b = 0; b < loop.batch; ++b) {
            if (t < loop.length(b)) prepare(t, parity, active[count++] = b);
            else silence(t, b);
        }
        int r = 0;
        for (; r + kAtOnce <= count; r += kAtOnce) advance<kAtOnce>(t, parity, active + r);
        for (; r < count; ++r) advance<1>(t, parity, active + r);
    }
    void silence(int t, int b) {
        const size_t at = loop.cell_at(t, b) * size_t(hidden);
        for (int lane = 0; lane < nets; ++lane) memset(as<T>(each[lane].outputs) + at, 0, size_t(hidden) * sizeof(T));
    }
    // The inputs, and the state where it is not what the step before left.
    void prepare(int t, int parity, int b) {
        T* to = source(parity, b);
        const size_t at = call.x ? size_t(t * call.x_stride.time + b * call.x_stride.batch) : 0;
        const bool shared = each[0].x == each[nets - 1].x;
        for (int k = 0; k < inputs; ++k)
            store(to + k * kWidth, shared ? broadcast(as<T>(call.x)[at + size_t(k)]) : gather(&Call::x, at + size_t(k)));
        if (loop.begins(t, b)) begin(to, b, &Call::fresh_hidden, &Call::fresh_cell);
        else if (loop.first(t, b)) begin(to, b, &Call::initial_hidden, &Call::initial_cell);
    }
    void begin(T* to, int b, void* Call::*h, void* Call::*c) {
        for (int u = 0; u < hidden; ++u) {
            const size_t at = size_t(b) * size_t(hidden) + size_t(u);
            store(to + (inputs + u) * kWidth, call.*h ? gather(h, at) : Vec<T>{});
            store(cell(b) + u * kWidth, call.*c ? gather(c, at) : Vec<T>{});
        }
    }

    template <int N> void advance(int t, int parity, const int* rows) {
        const int count = gates.count;
        if (count == 4) multiply<N, 4>(t, parity, rows);
        else if (count == 3) multiply<N, 3>(t, parity, rows);
        else if (count == 2) multiply<N, 2>(t, parity, rows);
        else multiply<N, 1>(t, parity, rows);
        for (int n = 0; n < N; ++n) {
            T* own = pre + size_t(n) * size_t(count * hidden) * kWidth;
            activate(t, rows[n], own, source(parity ^ 1, rows[n]) + inputs * kWidth);
        }
    }
    // The pre-activations of N sequences, without peepholes: [sequence][gate][unit][network].
    template <int N, int G> void multiply(int t, int parity, const int* rows) {
        const T *from[N], *w = weights;
        for (int n = 0; n < N; ++n) from[n] = source(parity, rows[n]);
        for (int u = 0; u < hidden; ++u) {
            Vec<T> sum[N][G];
#pragma GCC unroll 4
            for (int g = 0; g < G; ++g, w += kWidth)
#pragma GCC unroll 4
                for (int n = 0; n < N; ++n) sum[n][g] = load(w);
            for (int k = 0; k < depth; ++k, w += G * kWidth) {
                Vec<T> seen[N];
#pragma GCC unroll 4
                for (int n = 0; n < N; ++n) seen[n] = load(from[n] + k * kWidth);
#pragma GCC unroll 4
                for (int g = 0; g < G; ++g) {
                    const Vec<T> weight = load(w + g * kWidth);
#pragma GCC unroll 4
                    for (int n = 0; n < N; ++n) sum[n][g] += weight * seen[n];
                }
            }
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
                for (int g = 0; g < G; ++g) store(pre + (size_t(n * G + g) * size_t(hidden) + size_t(u)) * kWidth, sum[n][g]);
        }
        if (call.gates)
            for (int n = 0; n < N; ++n) add_given(t, rows[n], pre + size_t(n * G) * size_t(hidden) * kWidth);
    }
    void add_given(int t, int b, T* to) const {
        for (int g = 0; g < kGates; ++g)
            for (int u = 0; learned(call.row, g) && u < hidden; ++u) {
                T* at = gate(to, g) + u * kWidth;
                store(at, load(at) + gather(&Call::gates, loop.cell_at(t, b) * size_t(layout.rows) + size_t(layout.rows_at[g] + u)));
            }
    }

    void peep(int g, T* values, const T* seen) const {
        if (!peeps(call.row, g)) return;
        const T* p = peepholes + size_t(layout.peephole[g]) * size_t(hidden) * kWidth;
        T* to = gate(values, g);
        for (int at = 0; at < hidden * kWidth; at += kWidth) store(to + at, load(to + at) + load(p + at) * load(seen + at));
    }
    // From the pre-activations of a sequence to its state, h in `h`.
    void activate(int t, int b, T* values, T* h) {
        const int count = hidden * kWidth;
        const bool current = call.row.output.peephole == Peephole::current;
        T* c = cell(b);
        for (int g = 0; g < kGates; ++g) {
            if (g == kOutput && current) continue;
            peep(g, values, c);
            if (learned(call.row, g)) squash_row<T>(gate_of(call.row, g).squash, gate(values, g), count);
        }
        const auto value = [&](int g, int at) { return learned(call.row, g) ? load(gate(values, g) + at) : broadcast(T(1)); };
        for (int at = 0; at < count; at += kWidth) {
            const Vec<T> i = value(kInput, at), f = value(kForget, at);
            const Vec<T> now = equations.forget(i, f) * load(c + at) + equations.input(i, f) * value(kCandidate, at);
            store(c + at, now), store(out + at, now);
        }
        squash_row<T>(call.row.squash, out.data, count);
        if (current && learned(call.row, kOutput)) {
            peep(kOutput, values, c);
            squash_row<T>(call.row.output.squash, gate(values, kOutput), count);
        }
        for (int at = 0; at < count; at += kWidth) store(h + at, value(kOutput, at) * load(out + at));
        scatter(&Call::outputs, loop.cell_at(t, b) * size_t(hidden), h);
        if (loop.last(t, b)) finish(b, false, h);
    }
    // The last state of a sequence; without a step the one that it began with.
    void finish(int b, bool empty, const T* h = nullptr) {
        const size_t at = size_t(b) * size_t(hidden);
        if (empty) begin(source(0, b), b, &Call::initial_hidden, &Call::initial_cell);
        scatter(&Call::last_hidden, at, empty ? source(0, b) + inputs * kWidth : h);
        scatter(&Call::last_cell, at, cell(b));
    }
};

}  // namespace carousel::CAROUSEL_TARGET
