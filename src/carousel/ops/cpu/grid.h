// One step at many places, given its pre-activations, forwards and backwards: with no products to take, units stand alone.
#pragma once
#include "backward.h"
#include "forward.h"

namespace carousel::CAROUSEL_TARGET {

inline constexpr int kRowsAtOnce = 16, kUnitsAtOnce = 512;
inline constexpr double kWorthThreads = 32768;  // pre-activations of a call

// Neighbouring units of some rows that share their peepholes: what a thread takes at once.
struct Patch {
    int64_t group, sum, begin, end;  // sum: where gradients of what rows share are added up; rows [begin, end)
    int64_t unit;
    int units;
};

template <class T> struct Grid {
    const StepCall& call;
    const Layout layout;  // in cells of one place; memory holds `places` numbers for each
    const int64_t units, rows, blocks, chunks;
    const bool plain;
    const int width;
    ForwardUnits<T> forward;
    BackwardUnits<T> backward;
    Buffer<T> zeros, grad_p, grad_norm;

    Grid(const StepCall& given, ForwardUnits<T> forwards, BackwardUnits<T> backwards)
        : call(given), layout(given.row, int(given.cells), int(given.predecessors)), units(given.cells * given.places),
          rows(given.groups * given.batch), blocks(shares(given.batch, kRowsAtOnce)), chunks(whole() ? (units ? 1 : 0) : shares(units, kUnitsAtOnce)),
          plain(!whole() && given.predecessors == 1 && !given.grad_activations), width(whole() ? int(units) : int(units < kUnitsAtOnce ? units : kUnitsAtOnce)),
          forward(forwards), backward(backwards), zeros(size_t(padded(width, kLanes<T>))), grad_p(backs() && blocks > 1 ? size_t(sums() * peepholes()) : 0),
          grad_norm(backs() && given.grad_norm ? size_t(sums() * 2 * units) : 0) {
        zeros.zero(size_t(padded(width, kLanes<T>)));
    }
    int64_t peepholes() const { return layout.peepholes * units; }
    int64_t sums() const { return call.groups * blocks; }
    int64_t patches() const { return sums() * chunks; }
    Patch patch(int64_t number) const {
        const int64_t sum = number / chunks, group = sum / blocks, block = sum % blocks, unit = number % chunks * kUnitsAtOnce;
        const int64_t begin = block * kRowsAtOnce, end = begin + kRowsAtOnce < call.batch ? begin + kRowsAtOnce : call.batch;
        return {group, sum, group * call.batch + begin, group * call.batch + end, unit, whole() || units - unit < width ? int(units - unit) : width};
    }
    Predecessors before() const {
        const int64_t forget = layout.units[kForget] * call.places;
        return {int(call.predecessors), ptrdiff_t(rows * units), ptrdiff_t(forget), ptrdiff_t(units)};
    }
    int parts() const {
        const int64_t most_parts = patches() < call.threads ? patches() : call.threads;
        return double(rows) * double(layout.rows) * double(call.places) < kWorthThreads ? 1 : most(1, int(most_parts));
    }
    // Where a patch adds up the gradients of peepholes, and those of gain and bias.
    T* sum_p(const Patch& at) const { return blocks > 1 ? grad_p + at.sum * peepholes() : as<T>(call.grad_p) + at.group * peepholes(); }
    T* sum_norm(const Patch& at) const { return call.grad_norm ? grad_norm + at.sum * 2 * units : nullptr; }

    template <class F> void walk(int part, int parts, F body) const;
    static void run_forward(void* self, int part, int parts);
    static void run_backward(void* self, int part, int parts);
    static void run_sums(void* self, int part, int parts) { static_cast<Grid*>(self)->add_up(part, parts); }

private:
    static int64_t shares(int64_t count, int64_t size) { return (count + size - 1) / size; }
    bool whole() const { return call.row.block > 1 || call.row.norm != Norm::none; }  // whether units of a row depend on each other
    bool backs() const { return call.grad_pre; }

    void add_up(int part, int parts) const {
        if (call.grad_p && blocks != 1)
            for (int64_t g = 0; g < call.groups; ++g)
                add_up(as<T>(call.grad_p) + g * peepholes(), grad_p + g * blocks * peepholes(), peepholes(), blocks, part, parts);
        if (call.grad_norm) add_up(as<T>(call.grad_norm), grad_norm, 2 * units, sums(), part, parts);
    }
    // to[u] = Σ_k from[k][u], for this part's share of the columns.
    static void add_up(T* to, const T* from, int64_t columns, int64_t count, int part, int parts) {
        const int64_t end = columns * (part + 1) / parts;
        for (int64_t u = columns * part / parts; u < end; u += kLanes<T>) {
            const int n = end - u < kLanes<T> ? int(end - u) : kLanes<T>;
            Vec<T> total{};
            for (int64_t k = 0; k < count; ++k) total += load(from + k * columns + u, n);
            store(to + u, total, n);
        }
    }
};

// One thread's way over its patches.
template <class T> struct GridThread {
    const Grid<T>& shared;
    const StepCall& call;
    const Layout& layout;
    Buffer<T> cell, hidden;  // made again on the way back, for nobody else

    explicit GridThread(const Grid<T>& of, bool back)
        : shared(of), call(of.call), layout(of.layout), cell(size_t(back ? of.width : 0)), hidden(size_t(back ? of.width : 0)) {}

    void forward(const Patch& at) {
        const Layout own(call.row, at.units);
        General<T> path(call.row, own, path_units(at), shared.before());
        for (int64_t row = at.begin; row < at.end; ++row) advance(path, at, row, call.activations, state(call.cell, at, row), state(call.hidden, at, row));
    }
    void backward(const Patch& at) {
        const Layout own(call.row, at.units);
        General<T> path(call.row, own, path_units(at), shared.before());
        clear(at);
        for (int64_t row = at.begin; row < at.end; ++row) go_back(path, at, row);
    }

private:
    int path_units(const Patch& at) const { return shared.plain ? 0 : at.units; }
    T* state(void* of, const Patch& at, int64_t row) const { return of ? as<T>(of) + row * shared.units + at.unit : nullptr; }
    T* gate(void* of, int g, const Patch& at, int64_t row) const {
        return of && learned(call.row, g) ? as<T>(of) + (row * layout.rows + layout.rows_at[g]) * call.places + at.unit : nullptr;
    }
    T* peephole(T* of, int g, const Patch& at) const { return layout.peephole[g] < 0 ? nullptr : of + layout.peephole[g] * shared.units + at.unit; }
    Extras<T> extras(const Patch& at) const { return {as<T>(call.norm), nullptr, nullptr, shared.sum_norm(at)}; }

    // One row forwards; its gates go to memory laid out as the pre-activations are.
    void advance(General<T>& path, const Patch& at, int64_t row, void* gates, T* to_cell, T* to_hidden) {
        ForwardRow<T> s{};
        for (int g = 0; g < kGates; ++g) {
            s.pre[g] = gate(call.pre, g, at, row);
            s.product[g] = shared.plain ? shared.zeros.data : nullptr;
            s.peephole[g] = peephole(as<T>(call.p) + at.group * shared.peepholes(), g, at);
            s.gate[g] = gate(gates, g, at, row);
        }
        s.previous = state(call.previous, at, row);
        s.cell = to_cell;
        s.hidden = to_hidden;
        if (shared.plain) shared.forward(call.row, s, at.units);
        else path.forward(s, extras(at));
    }
    // One row backwards. Nothing was kept of it: its gates are computed anew, where their gradients will be.
    void go_back(General<T>& path, const Patch& at, int64_t row) {
        advance(path, at, row, call.grad_pre, cell, hidden);
        BackwardRow<T> s{};
        for (int g = 0; g < kGates; ++g) {
            s.gate[g] = s.grad[g] = gate(call.grad_pre, g, at, row);
            s.sent[g] = gate(call.grad_activations, g, at, row);
            s.peephole[g] = peephole(as<T>(call.p) + at.group * shared.peepholes(), g, at);
            s.grad_peephole[g] = peephole(shared.sum_p(at), g, at);
        }
        s.previous = state(call.previous, at, row);
        s.cell = cell;
        s.hidden[0] = call.grad_hidden ? state(call.grad_hidden, at, row) : shared.zeros.data;
        s.carry = state(call.grad_previous, at, row);
        memcpy(s.carry, call.grad_cell ? state(call.grad_cell, at, row) : shared.zeros.data, size_t(at.units) * sizeof(T));
        if (shared.plain) shared.backward(call.row, s, at.units);
        else path.backward(s, extras(at));
    }
    void clear(const Patch& at) {
        const size_t size = size_t(at.units) * sizeof(T);
        for (int k = 0; k < layout.peepholes; ++k) memset(shared.sum_p(at) + k * shared.units + at.unit, 0, size);
        if (call.grad_norm) memset(shared.sum_norm(at), 0, 2 * size);
    }
};

template <class T> template <class F> void Grid<T>::walk(int part, int parts, F body) const {
    for (int64_t n = patches() * part / parts, end = patches() * (part + 1) / parts; n < end; ++n) body(patch(n));
}
template <class T> void Grid<T>::run_forward(void* self, int part, int parts) {
    const Grid& grid = *static_cast<Grid*>(self);
    GridThread<T> thread(grid, false);
    grid.walk(part, parts, [&](const Patch& at) { thread.forward(at); });
}
template <class T> void Grid<T>::run_backward(void* self, int part, int parts) {
    const Grid& grid = *static_cast<Grid*>(self);
    GridThread<T> thread(grid, true);
    grid.walk(part, parts, [&](const Patch& at) { thread.backward(at); });
}

}  // namespace carousel::CAROUSEL_TARGET
