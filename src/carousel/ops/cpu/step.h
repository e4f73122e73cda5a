// One step of one sequence, given its products: forward and backward, for every row of the table.
// A plain row (no block, norm or mask) is one pass in registers; the general path takes the same equations in several passes.
#pragma once
#include "cell.h"
#include "squash.h"

namespace carousel::CAROUSEL_TARGET {

// Everything that one sequence reads and writes in a forward step. `gate` may be the memory of `pre`.
template <class T> struct ForwardRow {
    const T* pre[kGates];
    const T* product[kGates];  // of the units from the first that is asked for; null where nothing recurs
    const T* peephole[kGates];
    const T* previous;  // c_{t-1}
    T* gate[kGates];    // null: not kept
    T* cell;
    T* hidden;
};

template <class T, class R> struct Equations {
    const R& r;

    Vec<T> gate(int g, Vec<T> pre) const { return squash<T>(gate_of(r.row, g).squash, pre); }
    // The input and forget gate, whichever of the two is learned.
    Vec<T> input(Vec<T> i, Vec<T> f) const {
        if (r.row.input.kind == Kind::open) return broadcast(T(1));
        return r.row.input.kind == Kind::complement ? broadcast(T(1)) - f : i;
    }
    Vec<T> forget(Vec<T> i, Vec<T> f) const {
        if (r.row.forget.kind == Kind::open) return broadcast(T(1));
        return r.row.forget.kind == Kind::complement ? broadcast(T(1)) - i : f;
    }
};

template <class T, class R> [[gnu::always_inline]] inline void forward_lanes(const R& r, const ForwardRow<T>& s, int u, int at, int n) {
    const Equations<T, R> cell{r};
    const Vec<T> old = load(s.previous + u, n);
    auto learn = [&](int g, Vec<T> seen) __attribute__((always_inline)) {
        if (!learned(r.row, g)) return Vec<T>{};
        Vec<T> pre = load(s.pre[g] + u, n);
        if (recurrent(r.row, g) || sends(r.row, g)) pre += load(s.product[g] + at);
        if (peeps(r.row, g)) pre += load(s.peephole[g] + u, n) * seen;
        const Vec<T> value = cell.gate(g, pre);
        if (s.gate[g]) store(s.gate[g] + u, value, n);
        return value;
    };
    const Vec<T> i = learn(kInput, old), f = learn(kForget, old), z = learn(kCandidate, old);
    const Vec<T> c = cell.forget(i, f) * old + cell.input(i, f) * z;
    const Vec<T> o = learn(kOutput, r.row.output.peephole == Peephole::current ? c : old);
    const Vec<T> out = squash<T>(r.row.squash, c);
    store(s.cell + u, c, n);
    store(s.hidden + u, learned(r.row, kOutput) ? o * out : out, n);
}

template <class T, class R> void forward_units(const R& r, const ForwardRow<T>& s, int begin, int end) {
    int u = begin;
    for (; u + kLanes<T> <= end; u += kLanes<T>) forward_lanes<T>(r, s, u, u - begin, kLanes<T>);
    if (u < end) forward_lanes<T>(r, s, u, u - begin, end - u);
}

// Everything that one sequence reads and writes in a backward step. `grad` may be the memory of `gate`.
template <class T> struct BackwardRow {
    const T* gate[kGates];
    const T* peephole[kGates];
    const T* sent[kGates];  // gradient of the gates as they were sent to the next step; null where none were
    const T* previous;      // c_{t-1}
    const T* cell;          // c_t
    const T* hidden[2];     // gradients of h_t, to be added; the second may be null
    T* carry;               // gradient of c_t in, of c_{t-1} out
    T* grad[kGates];
    T* grad_peephole[kGates];
    T* output;  // o ⊙ squash(c), wanted by a projection's gradient; or null
};

template <class T, class R> [[gnu::always_inline]] inline void backward_lanes(const R& r, const BackwardRow<T>& s, int u, int n) {
    const Equations<T, R> cell{r};
    const Vec<T> one = broadcast(T(1)), old = load(s.previous + u, n), c = load(s.cell + u, n);
    auto kept = [&](int g) { return learned(r.row, g) ? load(s.gate[g] + u, n) : one; };
    const Vec<T> i = kept(kInput), f = kept(kForget), z = kept(kCandidate), o = kept(kOutput);
    const Vec<T> forget = cell.forget(i, f), input = cell.input(i, f), out = squash<T>(r.row.squash, c);
    Vec<T> dh = load(s.hidden[0] + u, n), back{};
    if (s.hidden[1]) dh += load(s.hidden[1] + u, n);
    Vec<T> dc = load(s.carry + u, n) + dh * o * slope<T>(r.row.squash, out);
    auto learn = [&](int g, Vec<T> d, Vec<T> value, Vec<T> seen, Vec<T>& into) __attribute__((always_inline)) {
        if (!learned(r.row, g)) return;
        if (sends(r.row, g) && s.sent[g]) d += load(s.sent[g] + u, n);
        const Vec<T> e = d * slope<T>(gate_of(r.row, g).squash, value);
        store(s.grad[g] + u, e, n);
        if (!peeps(r.row, g)) return;
        into += e * load(s.peephole[g] + u, n);
        store(s.grad_peephole[g] + u, load(s.grad_peephole[g] + u, n) + e * seen, n);
    };
    if (s.output) store(s.output + u, o * out, n);
    const bool current = r.row.output.peephole == Peephole::current;
    learn(kOutput, dh * out, o, current ? c : old, current ? dc : back);
    Vec<T> di = dc * z, df = dc * old;
    if (r.row.forget.kind == Kind::complement) di -= df;
    if (r.row.input.kind == Kind::complement) df -= di;
    learn(kInput, di, i, old, back);
    learn(kForget, df, f, old, back);
    learn(kCandidate, dc * input, z, old, back);
    store(s.carry + u, dc * forget + back, n);
}

template <class T, class R> void backward_units(const R& r, const BackwardRow<T>& s, int begin, int end) {
    int u = begin;
    for (; u + kLanes<T> <= end; u += kLanes<T>) backward_lanes<T>(r, s, u, kLanes<T>);
    if (u < end) backward_lanes<T>(r, s, u, end - u);
}

}  // namespace carousel::CAROUSEL_TARGET
