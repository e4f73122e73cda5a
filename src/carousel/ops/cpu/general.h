// The general path of a step: memory cell blocks, layer norm, masks, in several passes over a whole row of units.
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
            alignas(64) T off[kLanes<T>] = {};
            store(off, load(values + u, n) - broadcast(mean), n);
            squares += load(off) * load(off);
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
    const Any any;
    const Equations<T, Any> cell;
    Buffer<T> scratch;
    enum { kWide = 0, kOwn = kGates, kSum = 2 * kGates, kNew, kSeen, kHat, kBack, kInto, kBuffers };

    General(const Row& of, const Layout& at, int units)
        : row(of), layout(at), hidden(units), any{of}, cell{any}, scratch(size_t(kBuffers) * size_t(padded(units, kLanes<T>))) {}

    // Leaves c_t in s.cell and o ⊙ squash(c_t) in s.hidden.
    void forward(const ForwardRow<T>& s, const Extras<T>& e) {
        for (int g = 0; g < kOutput; ++g)
            if (learned(row, g)) activate(g, s, s.previous);
        advance(s.previous, e, buffer(kNew));
        if (row.norm == Norm::torch_sample) norm(buffer(kNew), e, buffer(kNew));
        if (learned(row, kOutput)) activate(kOutput, s, row.output.peephole == Peephole::current ? buffer(kNew) : s.previous);
        const T* seen = buffer(kNew);
        if (row.norm == Norm::ba2016) norm(buffer(kNew), e, buffer(kSeen)), seen = buffer(kSeen);
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> out = squash<T>(row.squash, load(seen + u, n)), c = load(buffer(kNew) + u, n), old = load(s.previous + u, n);
            store(s.hidden + u, wide(kOutput, u, n) * out, n);
            const Vec<T> kept = e.zoneout_cell ? load(e.zoneout_cell + u, n) : Vec<T>{};
            store(s.cell + u, c * (T(1) - kept) + old * kept, n);  // exact where a cell stays or does not
        });
    }

    // s.hidden[0] is the gradient of o ⊙ squash(c_t); s.cell is not read: what the masks hid is computed again.
    void backward(const BackwardRow<T>& s, const Extras<T>& e) {
        for (int g = 0; g < kGates; ++g)
            if (learned(row, g)) widen(g, s.gate[g]);
        T *fresh = buffer(kNew), *hat = buffer(kHat), *back = buffer(kBack), *into = buffer(kInto), *seen = buffer(kSeen);
        advance(s.previous, e, fresh);
        const Moments<T> moments(fresh, hidden);
        each(hidden, kLanes<T>, [&](int u, int n) {
            store(hat + u, (load(fresh + u, n) - moments.mean) * moments.scale, n);
            const Vec<T> keep = e.zoneout_cell ? load(e.zoneout_cell + u, n) : Vec<T>{}, d = load(s.carry + u, n);
            store(into + u, d - d * keep, n);
            store(back + u, d * keep, n);
        });
        if (row.norm == Norm::torch_sample) norm(fresh, e, fresh);
        const T* read = fresh;
        if (row.norm == Norm::ba2016) norm(fresh, e, seen), read = seen;
        output(s, e, read, moments.scale);
        if (row.norm == Norm::torch_sample) norm_backward(e, into, moments.scale);
        inward(s, e);
        each(hidden, kLanes<T>, [&](int u, int n) { store(s.carry + u, load(into + u, n) * forget(u, n) + load(back + u, n), n); });
    }

private:
    T* buffer(int at) { return scratch + size_t(at) * size_t(padded(hidden, kLanes<T>)); }
    bool shared(int g) const { return row.block > 1 && g != kCandidate; }
    Vec<T> wide(int g, int u, int n) { return learned(row, g) ? load(buffer(kWide + g) + u, n) : broadcast(T(1)); }
    Vec<T> forget(int u, int n) { return cell.forget(wide(kInput, u, n), wide(kForget, u, n)); }
    Vec<T> input(int u, int n) { return cell.input(wide(kInput, u, n), wide(kForget, u, n)); }
    Vec<T> dropped(const Extras<T>& e, int u, int n) { return e.drop_candidate ? load(e.drop_candidate + u, n) : broadcast(T(1)); }

    // A gate's value for each cell, the cells of a block having one in common.
    void widen(int g, const T* value) {
        T* to = buffer(kWide + g);
        for (int u = 0; u < hidden; ++u) to[u] = value[shared(g) ? u / row.block : u];
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
    void activate(int g, const ForwardRow<T>& s, const T* seen) {
        T *value = s.gate[g] ? s.gate[g] : buffer(kOwn + g), *peep = buffer(kSum);
        if (peeps(row, g)) {
            for (int u = 0; u < hidden; ++u) peep[u] = s.peephole[g][u] * seen[u];
            narrow(g, peep);
        }
        const bool product = recurrent(row, g) || sends(row, g);
        each(layout.units[g], kLanes<T>, [&](int u, int n) {
            Vec<T> pre = load(s.pre[g] + u, n);
            if (product) pre += load(s.product[g] + u, n);
            if (peeps(row, g)) pre += load(peep + u, n);
            store(value + u, cell.gate(g, pre), n);
        });
        widen(g, value);
    }
    void advance(const T* previous, const Extras<T>& e, T* to) {
        each(hidden, kLanes<T>, [&](int u, int n) {
            store(to + u, forget(u, n) * load(previous + u, n) + input(u, n) * (wide(kCandidate, u, n) * dropped(e, u, n)), n);
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
        for (int u = 0; u < hidden; ++u) {
            e.grad_norm_cell[u] += d[u] * hat[u];
            e.grad_norm_cell[hidden + u] += d[u];
            d[u] *= e.norm_cell[u];
        }
        normalized_backward(d, hat, scale, hidden);
    }
    // The gradient of a gate's pre-activation from that of its value for each cell (in `d`), and what its peephole hands on.
    void learn(int g, const BackwardRow<T>& s, T* d, const T* seen, T* into) {
        if (!learned(row, g)) return;
        narrow(g, d);
        for (int u = 0; u < layout.units[g]; ++u) d[u] += s.sent[g] ? s.sent[g][u] : T(0);
        T* own = buffer(kOwn + g);
        each(layout.units[g], kLanes<T>, [&](int u, int n) {
            store(own + u, load(d + u, n) * slope<T>(gate_of(row, g).squash, load(s.gate[g] + u, n)), n);
        });
        if (peeps(row, g))
            for (int u = 0; u < hidden; ++u) {
                const T grad = own[shared(g) ? u / row.block : u];
                into[u] += grad * s.peephole[g][u];
                s.grad_peephole[g][u] += grad * seen[u];
            }
        memcpy(s.grad[g], own, size_t(layout.units[g]) * sizeof(T));
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
        const bool current = row.output.peephole == Peephole::current;
        learn(kOutput, s, d, current ? buffer(kNew) : s.previous, current ? into : buffer(kBack));
    }
    // From the gradient of f ⊙ c_{t-1} + i ⊙ z to those of the three gates.
    void inward(const BackwardRow<T>& s, const Extras<T>& e) {
        T *into = buffer(kInto), *back = buffer(kBack), *di = buffer(kSum), *df = buffer(kSeen), *dz = buffer(kHat);
        each(hidden, kLanes<T>, [&](int u, int n) {
            const Vec<T> d = load(into + u, n), keep = dropped(e, u, n);
            const Vec<T> input_part = d * wide(kCandidate, u, n) * keep, forget_part = d * load(s.previous + u, n);
            store(di + u, row.forget.kind == Kind::complement ? input_part - forget_part : input_part, n);
            store(df + u, row.input.kind == Kind::complement ? forget_part - input_part : forget_part, n);
            store(dz + u, d * input(u, n) * keep, n);
        });
        learn(kInput, s, di, s.previous, back);
        learn(kForget, s, df, s.previous, back);
        learn(kCandidate, s, dz, s.previous, back);
    }
};

}  // namespace carousel::CAROUSEL_TARGET
