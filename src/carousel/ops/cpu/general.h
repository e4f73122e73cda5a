// The general path of a step: memory cell blocks, layer norm, masks, grids, in several passes over a whole row of units.
#pragma once
#include "matmul.h"
#include "step.h"

namespace carousel::CAROUSEL_TARGET {

// What the plain path knows nothing of; null where a call has none.
template <class T> struct Extras {
    const T* norm_cell = nullptr;   // gain, bias
    const T* zoneout_cell = nullptr;
    const T* drop_candidate = nullptr;
    T* grad_norm_cell = nullptr;  // added to
};

// How many cells came before this one, and how far apart lie their states, their forget gates and the peepholes at them.
struct Predecessors {
    int count = 1;
    ptrdiff_t state = 0, forget = 0, peephole = 0;
};

template <class F> inline void each(int count, int lanes, F body) {
    for (int u = 0; u < count; u += lanes) body(u, least(lanes, count - u));
}
template <class T, class F> inline T sum_of(int count, F term) {
    Vec<T> total{};
    each(count, kLanes<T>, [&](int u, int n) { total += term(u, n); });
    return sum<T>(total);
}
template <class T> inline T square_root(T value) {
    if constexpr (sizeof(T) == 4) return __builtin_sqrtf(value);
    else return __builtin_sqrt(value);
}

// Mean and 1 / standard deviation of numbers, as layer norm uses them.
template <class T> struct Moments {
    T mean, scale;
    Moments(const T* values, int count) {
        mean = sum_of<T>(count, [&](int u, int n) { return load(values + u, n); }) / T(count);
        Vec<T> squares{};
        each(count, kLanes<T>, [&](int u, int n) {
            Vec<T> off = load(values + u, n) - broadcast(mean);
            for (int i = n; i < kLanes<T>; ++i) off[i] = 0;
            squares += off * off;
        });
        scale = T(1) / square_root(sum<T>(squares) / T(count) + T(1e-5));
    }
};

// d/dx of (x - mean) scale, given the gradient `d` and the value `hat`; the result replaces `d`.
template <class T> void normalized_backward(T* d, const T* hat, T scale, int count) {
    const T mean = sum_of<T>(count, [&](int u, int n) { return load(d + u, n); }) / T(count);
    const T slope = sum_of<T>(count, [&](int u, int n) { return load(d + u, n) * load(hat + u, n); }) / T(count);
    each(count, kLanes<T>, [&](int u, int n) { store(d + u, (load(d + u, n) - mean - load(hat + u, n) * slope) * scale, n); });
}

template <class T> struct General {
    const Row& row;
    const Layout& layout;
    const int hidden;
    const Predecessors before;
    const Any any;
    const Equations<T, Any> cell;
    Buffer<T> scratch;
    enum { kWide = 0, kOwn = kGates, kSum = 2 * kGates, kNew, kSeen, kHat, kBack, kInto, kBuffers };

    General(const Row& of, const Layout& at, int units, const Predecessors& who = {})
        : row(of), layout(at), hidden(units), before(who), any{of}, cell{any},
          scratch(size_t(kBuffers + 2 * (who.count - 1)) * size_t(padded(units, kLanes<T>))) {}

    // Leaves c_t in s.cell and o ⊙ squash(c_t) in s.hidden.
    void forward(const ForwardRow<T>& s, const Extras<T>& e) {
        for (int g = 0; g < kOutput; ++g)
            for (int k = 0; k < copies(g); ++k) activate(g, k, s);
        advance(s.previous, e, buffer(kNew));
        if (row.norm == Norm::torch_sample) norm(buffer(kNew), e, buffer(kNew));
        for (int k = 0; k < copies(kOutput); ++k) activate(kOutput, k, s);
        const T* seen = buffer(kNew);
        if (row.norm == Norm::ba2016) norm(buffer(kNew), e, buffer(kSeen)), seen = buffer(kSeen);
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> out = squash<T>(row.squash, load(seen + u, n)), c = load(buffer(kNew) + u, n);
            store(s.hidden + u, wide(kOutput, u, n) * out, n);
            if (!e.zoneout_cell) return store(s.cell + u, c, n);
            const Vec<T> kept = load(e.zoneout_cell + u, n), old = load(s.previous + u, n);
            store(s.cell + u, c * (T(1) - kept) + old * kept, n);  // exact where a cell stays or does not
        });
    }

    // s.hidden[0] is the gradient of o ⊙ squash(c_t); s.cell is not read: what the masks hid is computed again.
    void backward(const BackwardRow<T>& s, const Extras<T>& e) {
        for (int g = 0; g < kGates; ++g)
            for (int k = 0; k < copies(g); ++k) widen(g, k, s.gate[g] + k * before.forget);
        T *fresh = buffer(kNew), *hat = buffer(kHat), *into = buffer(kInto), *seen = buffer(kSeen);
        advance(s.previous, e, fresh);
        const Moments<T> moments(fresh, hidden);
        each(hidden, kLanes<T>, [&](int u, int n) {
            store(hat + u, (load(fresh + u, n) - moments.mean) * moments.scale, n);
            const Vec<T> keep = e.zoneout_cell ? load(e.zoneout_cell + u, n) : Vec<T>{}, d = load(s.carry + u, n);
            store(into + u, d - d * keep, n);
            store(back(0) + u, d * keep, n);
            for (int k = 1; k < before.count; ++k) store(back(k) + u, Vec<T>{}, n);
        });
        if (row.norm == Norm::torch_sample) norm(fresh, e, fresh);
        const T* read = fresh;
        if (row.norm == Norm::ba2016) norm(fresh, e, seen), read = seen;
        output(s, e, read, moments.scale);
        if (row.norm == Norm::torch_sample) norm_backward(e, into, moments.scale);
        inward(s, e);
        for (int k = 0; k < before.count; ++k)
            each(hidden, kLanes<T>, [&](int u, int n) {
                store(s.carry + k * before.state + u, load(into + u, n) * forget(k, u, n) + load(back(k) + u, n), n);
            });
    }

private:
    T* buffer(int at) { return scratch + size_t(at) * size_t(padded(hidden, kLanes<T>)); }
    // A gate's values for each cell, and what peepholes hand back to a predecessor.
    T* widened(int g, int k) { return buffer(k ? kBuffers + k - 1 : kWide + g); }
    T* back(int k) { return buffer(k ? kBuffers + before.count + k - 2 : kBack); }

    bool shared(int g) const { return row.block > 1 && g != kCandidate; }
    int copies(int g) const { return !learned(row, g) ? 0 : g == kForget ? before.count : 1; }
    bool current(int g) const { return g == kOutput && row.output.peephole == Peephole::current; }
    // The predecessors that a copy of a gate peeps at.
    struct Range { int begin, end; };
    Range seen(int g, int copy) const {
        if (!peeps(row, g)) return {0, 0};
        if (g == kForget) return {copy, copy + 1};
        return {0, current(g) ? 1 : before.count};
    }
    const T* state(int g, int k, const T* previous) { return current(g) ? buffer(kNew) : previous + k * before.state; }

    Vec<T> wide(int g, int u, int n, int copy = 0) { return learned(row, g) ? load(widened(g, copy) + u, n) : broadcast(T(1)); }
    Vec<T> forget(int k, int u, int n) { return cell.forget(wide(kInput, u, n), wide(kForget, u, n, k)); }
    Vec<T> input(int u, int n) { return cell.input(wide(kInput, u, n), wide(kForget, u, n)); }
    Vec<T> dropped(const Extras<T>& e, int u, int n) { return e.drop_candidate ? load(e.drop_candidate + u, n) : broadcast(T(1)); }

    // A gate's value for each cell, the cells of a block having one in common.
    void widen(int g, int copy, const T* value) {
        T* to = widened(g, copy);
        if (!shared(g)) return (void)memcpy(to, value, size_t(hidden) * sizeof(T));
        for (int u = 0, block = 0; u < hidden; ++block)
            for (int k = 0; k < row.block; ++k) to[u++] = value[block];
    }
    // Sums over the cells of each block, in place.
    T* narrow(int g, T* values) {
        for (int u = 0; shared(g) && u < layout.units[g]; ++u) {
            T total = 0;
            for (int k = 0; k < row.block; ++k) total += values[u * row.block + k];
            values[u] = total;
        }
        return values;
    }
    void activate(int g, int copy, const ForwardRow<T>& s) {
        T *value = s.gate[g] ? s.gate[g] + copy * before.forget : buffer(kOwn + g), *peep = buffer(kSum);
        const Range range = seen(g, copy);
        for (int k = range.begin; k < range.end; ++k) {
            const T *p = s.peephole[g] + k * before.peephole, *c = state(g, k, s.previous);
            for (int u = 0; u < hidden; ++u) peep[u] = p[u] * c[u] + (k == range.begin ? T(0) : peep[u]);
        }
        if (peeps(row, g)) narrow(g, peep);
        const bool product = s.product[g] && (recurrent(row, g) || sends(row, g));
        each(layout.units[g], kLanes<T>, [&](int u, int n) {
            Vec<T> pre = load(s.pre[g] + copy * before.forget + u, n);
            if (product) pre += load(s.product[g] + u, n);
            if (peeps(row, g)) pre += load(peep + u, n);
            store(value + u, cell.gate(g, pre), n);
        });
        widen(g, copy, value);
    }
    void advance(const T* previous, const Extras<T>& e, T* to) {
        each(hidden, kLanes<T>, [&](int u, int n) {
            Vec<T> c = input(u, n) * (wide(kCandidate, u, n) * dropped(e, u, n));
            for (int k = 0; k < before.count; ++k) c += forget(k, u, n) * load(previous + k * before.state + u, n);
            store(to + u, c, n);
        });
    }
    void norm(const T* from, const Extras<T>& e, T* to) {
        const Moments<T> moments(from, hidden);
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> hat = (load(from + u, n) - moments.mean) * moments.scale;
            store(to + u, hat * load(e.norm_cell + u, n) + load(e.norm_cell + hidden + u, n), n);
        });
    }
    // From the gradient of gain ⊙ hat + bias to that of what was normalised, in place.
    void norm_backward(const Extras<T>& e, T* d, T scale) {
        const T* hat = buffer(kHat);
        T *gain = e.grad_norm_cell, *bias = gain + hidden;
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> one = load(d + u, n);
            store(gain + u, load(gain + u, n) + one * load(hat + u, n), n);
            store(bias + u, load(bias + u, n) + one, n);
            store(d + u, one * load(e.norm_cell + u, n), n);
        });
        normalized_backward(d, hat, scale, hidden);
    }
    // The gradient of a gate's pre-activation from that of its value for each cell (in `d`), and what its peephole hands on.
    void learn(int g, int copy, const BackwardRow<T>& s, T* d) {
        if (!learned(row, g)) return;
        narrow(g, d);
        const ptrdiff_t at = copy * before.forget;
        for (int u = 0; s.sent[g] && u < layout.units[g]; ++u) d[u] += s.sent[g][at + u];
        T* own = buffer(kOwn + g);
        each(layout.units[g], kLanes<T>, [&](int u, int n) {
            store(own + u, load(d + u, n) * slope<T>(gate_of(row, g).squash, load(s.gate[g] + at + u, n)), n);
        });
        const Range range = seen(g, copy);
        for (int k = range.begin; k < range.end; ++k) peep_back(g, k, s, own);
        memcpy(s.grad[g] + at, own, size_t(layout.units[g]) * sizeof(T));
    }
    void peep_back(int g, int k, const BackwardRow<T>& s, const T* own) {
        const T *p = s.peephole[g] + k * before.peephole, *c = state(g, k, s.previous);
        T *grad_p = s.grad_peephole[g] + k * before.peephole, *into = current(g) ? buffer(kInto) : back(k);
        for (int u = 0; u < hidden; ++u) {
            const T grad = own[shared(g) ? u / row.block : u];
            into[u] += grad * p[u];
            grad_p[u] += grad * c[u];
        }
    }
    void output(const BackwardRow<T>& s, const Extras<T>& e, const T* read, T scale) {
        T *d = buffer(kSum), *into = buffer(kInto), *through = buffer(kOwn);
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> out = squash<T>(row.squash, load(read + u, n)), o = wide(kOutput, u, n);
            Vec<T> dh = load(s.hidden[0] + u, n);
            if (s.hidden[1]) dh += load(s.hidden[1] + u, n);
            if (s.output) store(s.output + u, o * out, n);
            store(d + u, dh * out, n);
            store(through + u, dh * o * slope<T>(row.squash, out), n);
        });
        if (row.norm == Norm::ba2016) norm_backward(e, through, scale);
        for (int u = 0; u < hidden; ++u) into[u] += through[u];
        learn(kOutput, 0, s, d);
    }
    // From the gradient of f ⊙ c_{t-1} + i ⊙ z to those of the three gates; only a lone predecessor has a complement.
    void inward(const BackwardRow<T>& s, const Extras<T>& e) {
        T *into = buffer(kInto), *di = buffer(kSum), *df = buffer(kSeen), *dz = buffer(kHat);
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> d = load(into + u, n), keep = dropped(e, u, n);
            const Vec<T> input_part = d * wide(kCandidate, u, n) * keep, forget_part = d * load(s.previous + u, n);
            store(di + u, row.forget.kind == Kind::complement ? input_part - forget_part : input_part, n);
            store(df + u, row.input.kind == Kind::complement ? forget_part - input_part : forget_part, n);
            store(dz + u, d * input(u, n) * keep, n);
        });
        learn(kInput, 0, s, di);
        learn(kForget, 0, s, df);
        for (int k = 1; k < before.count; ++k) {
            const T* previous = s.previous + k * before.state;
            each(hidden, kLanes<T>, [&](int u, int n) { store(df + u, load(into + u, n) * load(previous + u, n), n); });
            learn(kForget, k, s, df);
        }
        learn(kCandidate, 0, s, dz);
    }
};

}  // namespace carousel::CAROUSEL_TARGET
