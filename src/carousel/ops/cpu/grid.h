// One step at many places, given its pre-activations, forwards and backwards: no products join the sequences or the places.
// Nothing is kept for the way back: a patch of it is made again while its memory is near, where its gradients will be.
#pragma once
#include "backward.h"
#include "forward.h"

namespace carousel::CAROUSEL_TARGET {

inline constexpr int kRowsAtOnce = 16, kUnitsAtOnce = 512, kPlacesAtOnce = 16;
inline constexpr double kWorthThreads = 32768;  // pre-activations of a call

// What a thread takes at once: rows [begin, end) of the batch, `count` neighbouring units of all places, or whole places.
struct Patch {
    int64_t block, number, begin, end, at;
    int count;
};

template <class T> struct Grid {
    const StepCall& call;
    const Layout layout;  // of one place
    const bool whole;     // whether units of a place depend on each other
    const int64_t units, length, width, blocks, chunks;
    ForwardUnits<T> forward;
    BackwardUnits<T> backward;
    Buffer<T> grad_p, grad_norm;

    Grid(const StepCall& given, ForwardUnits<T> forwards, BackwardUnits<T> backwards)
        : call(given), layout(given.row, int(given.cells), int(given.predecessors)),
          whole(given.row.block > 1 || given.row.norm != Norm::none),
          units(given.cells * given.places), length(whole ? given.places : units), width(whole ? kPlacesAtOnce : kUnitsAtOnce),
          blocks(shares(given.batch, kRowsAtOnce)), chunks(units ? shares(length, width) : 0), forward(forwards), backward(backwards),
          grad_p(size_t(given.grad_p && blocks > 1 ? blocks * peepholes() : 0)),
          grad_norm(size_t(given.grad_norm ? patches() * 2 * given.cells : 0)) {}

    int64_t peepholes() const { return layout.peepholes * units; }
    int64_t patches() const { return blocks * chunks; }
    int parts() const {
        const int64_t widest = patches() < call.threads ? patches() : call.threads;
        return double(call.batch) * double(layout.rows) * double(call.places) < kWorthThreads ? 1 : most(1, int(widest));
    }
    Patch patch(int64_t number) const {
        const int64_t block = number / chunks, at = number % chunks * width, begin = block * kRowsAtOnce;
        return {block, number, begin, smallest(begin + kRowsAtOnce, call.batch), at, int(smallest(width, length - at))};
    }
    // Where a patch adds up the gradients of what rows share: peepholes, gain and bias.
    T* sum_p(const Patch& at) const { return blocks > 1 ? grad_p + at.block * peepholes() : as<T>(call.grad_p); }
    T* sum_norm(const Patch& at) const { return call.grad_norm ? grad_norm + at.number * 2 * call.cells : nullptr; }

    static void run_forward(void* self, int part, int parts);
    static void run_backward(void* self, int part, int parts);
    static void run_sums(void* self, int part, int parts) {
        const Grid& grid = *static_cast<Grid*>(self);
        if (grid.call.grad_p && grid.blocks != 1) add_up(as<T>(grid.call.grad_p), grid.grad_p, grid.peepholes(), grid.blocks, part, parts);
        if (grid.call.grad_norm) add_up(as<T>(grid.call.grad_norm), grid.grad_norm, 2 * grid.call.cells, grid.patches(), part, parts);
    }
    template <class F> void walk(int part, int parts, F body) const {
        for (int64_t n = patches() * part / parts; n < patches() * (part + 1) / parts; ++n) body(patch(n));
    }

private:
    static int64_t smallest(int64_t a, int64_t b) { return a < b ? a : b; }
    static int64_t shares(int64_t count, int64_t size) { return (count + size - 1) / size; }
    // to[u] = Σ_k from[k][u], for this part's share of the columns.
    static void add_up(T* to, const T* from, int64_t columns, int64_t count, int part, int parts) {
        const int64_t end = columns * (part + 1) / parts;
        for (int64_t u = columns * part / parts; u < end; u += kLanes<T>) {
            const int n = int(smallest(end - u, kLanes<T>));
            Vec<T> total{};
            for (int64_t k = 0; k < count; ++k) total += load(from + k * columns + u, n);
            store(to + u, total, n);
        }
    }
};

// Where units stand alone a map is as good as a row of so many units more, and any run of them can be taken.
template <class T> struct GridUnits {
    const Grid<T>& shared;
    const StepCall& call;
    const Layout& layout;
    const bool plain;
    Buffer<T> zeros, cell, hidden;

    GridUnits(const Grid<T>& of, bool)
        : shared(of), call(of.call), layout(of.layout), plain(call.predecessors == 1 && !call.grad_activations), zeros(kUnitsAtOnce),
          cell(kUnitsAtOnce), hidden(kUnitsAtOnce) {
        zeros.zero(kUnitsAtOnce);
    }
    void forward(const Patch& at) {
        const Layout own(call.row, at.count);
        General<T> path(call.row, own, plain ? 0 : at.count, before());
        for (int64_t row = at.begin; row < at.end; ++row)
            advance(path, at, row, call.activations, state(call.cell, at, row), state(call.hidden, at, row));
    }
    void backward(const Patch& at) {
        const Layout own(call.row, at.count);
        General<T> path(call.row, own, plain ? 0 : at.count, before());
        for (int k = 0; k < layout.peepholes; ++k) memset(shared.sum_p(at) + k * shared.units + at.at, 0, size_t(at.count) * sizeof(T));
        for (int64_t row = at.begin; row < at.end; ++row) go_back(path, at, row);
    }

private:
    Predecessors before() const {
        const ptrdiff_t units = shared.units;
        return {int(call.predecessors), call.batch * units, units, units};
    }
    T* state(void* of, const Patch& at, int64_t row) const { return as<T>(of) + row * shared.units + at.at; }
    T* gate(void* of, int g, const Patch& at, int64_t row) const {
        return of && learned(call.row, g) ? as<T>(of) + (row * layout.rows + layout.rows_at[g]) * call.places + at.at : nullptr;
    }
    T* peephole(T* of, int g, const Patch& at) const {
        return layout.peephole[g] < 0 ? nullptr : of + layout.peephole[g] * shared.units + at.at;
    }

    void advance(General<T>& path, const Patch& at, int64_t row, void* gates, T* to_cell, T* to_hidden) {
        ForwardRow<T> s{};
        for (int g = 0; g < kGates; ++g) {
            s.pre[g] = gate(call.pre, g, at, row);
            s.product[g] = plain ? zeros.data : nullptr;
            s.peephole[g] = peephole(as<T>(call.p), g, at);
            s.gate[g] = gate(gates, g, at, row);
        }
        s.previous = state(call.previous, at, row);
        s.cell = to_cell;
        s.hidden = to_hidden;
        if (plain) shared.forward(call.row, s, 0, at.count);
        else path.forward(s, {});
    }
    void go_back(General<T>& path, const Patch& at, int64_t row) {
        advance(path, at, row, call.grad_pre, cell, hidden);
        BackwardRow<T> s{};
        for (int g = 0; g < kGates; ++g) {
            s.gate[g] = s.grad[g] = gate(call.grad_pre, g, at, row);
            s.sent[g] = gate(call.grad_activations, g, at, row);
            s.peephole[g] = peephole(as<T>(call.p), g, at);
            s.grad_peephole[g] = peephole(shared.sum_p(at), g, at);
        }
        s.previous = state(call.previous, at, row);
        s.cell = cell;
        s.hidden[0] = call.grad_hidden ? state(call.grad_hidden, at, row) : zeros.data;
        s.carry = state(call.grad_previous, at, row);
        memcpy(s.carry, call.grad_cell ? state(call.grad_cell, at, row) : zeros.data, size_t(at.count) * sizeof(T));
        if (plain) shared.backward(call.row, s, 0, at.count);
        else path.backward(s, {});
    }
};

// to[c][r] = from[r][c], a square of vectors at a time.
template <class T> void turn(T* to, ptrdiff_t to_stride, const T* from, ptrdiff_t from_stride, int rows, int columns) {
    constexpr int L = kLanes<T>;
    if ((rows == 1 && to_stride == 1) || (columns == 1 && from_stride == 1)) {
        memcpy(to, from, size_t(rows) * size_t(columns) * sizeof(T));
        return;
    }
    for (int r = 0; r < rows; r += L)
        for (int c = 0; c < columns; c += L) {
            const int high = least(L, rows - r), wide = least(L, columns - c);
            Vec<T> square[L];
            for (int i = 0; i < L; ++i) square[i] = i < high ? load(from + (r + i) * from_stride + c, wide) : Vec<T>{};
            transpose<T>(square);
            for (int i = 0; i < wide; ++i) store(to + (c + i) * to_stride + r, square[i], high);
        }
}

// Where they do not (layer norm, blocks), the units of some places are brought side by side, and back.
template <class T> struct GridPlaces {
    const Grid<T>& shared;
    const StepCall& call;
    const Layout& layout;
    const int cells, predecessors;
    General<T> path;
    Buffer<T> gates, previous, p, cell, hidden, sent, grad_hidden, carry, grad_p;

    GridPlaces(const Grid<T>& of, bool back)
        : shared(of), call(of.call), layout(of.layout), cells(int(call.cells)), predecessors(int(call.predecessors)),
          path(call.row, layout, cells, {predecessors, kPlacesAtOnce * cells, layout.units[kForget], cells}), gates(size_of(layout.rows)),
          previous(size_of(predecessors * cells)), p(size_of(layout.peepholes * cells)), cell(size_of(cells)), hidden(size_of(cells)),
          sent(size_of(back && call.grad_activations ? layout.rows : 0)), grad_hidden(size_of(back ? cells : 0)),
          carry(size_of(back ? predecessors * cells : 0)), grad_p(size_of(back ? layout.peepholes * cells : 0)) {}

    void forward(const Patch& at) {
        gather(p, call.p, 0, layout.peepholes * cells, at);
        for (int64_t row = at.begin; row < at.end; ++row) {
            gather_row(at, row);
            for (int i = 0; i < at.count; ++i) path.forward(forward_row(i), extras(at));
            scatter(call.activations, gates, row, layout.rows, at);
            scatter(call.cell, cell, row, cells, at);
            scatter(call.hidden, hidden, row, cells, at);
        }
    }
    void backward(const Patch& at) {
        gather(p, call.p, 0, layout.peepholes * cells, at);
        grad_p.zero(size_of(layout.peepholes * cells));
        if (call.grad_norm) memset(shared.sum_norm(at), 0, size_t(2 * cells) * sizeof(T));
        for (int64_t row = at.begin; row < at.end; ++row) {
            gather_row(at, row);
            gather(grad_hidden, call.grad_hidden, row, cells, at);
            gather(carry, call.grad_cell, row, cells, at);
            if (call.grad_activations) gather(sent, call.grad_activations, row, layout.rows, at);
            for (int i = 0; i < at.count; ++i) {
                path.forward(forward_row(i), extras(at));
                path.backward(backward_row(i), extras(at));
            }
            scatter(call.grad_pre, gates, row, layout.rows, at);
            for (int k = 0; k < predecessors; ++k) scatter(call.grad_previous, of_predecessor(carry, k), k * call.batch + row, cells, at);
        }
        scatter(shared.sum_p(at), grad_p, 0, layout.peepholes * cells, at);
    }

private:
    static size_t size_of(int count) { return size_t(kPlacesAtOnce) * size_t(count); }
    T* of_predecessor(T* of, int k) const { return of + k * kPlacesAtOnce * cells; }
    Extras<T> extras(const Patch& at) const { return {as<T>(call.norm), nullptr, nullptr, shared.sum_norm(at)}; }

    // From (row, units, places) to (place, units), and back; what is absent counts as zeros.
    void gather(T* to, void* from, int64_t row, int count, const Patch& at) const {
        if (!count) return;
        if (!from) memset(to, 0, size_of(count) * sizeof(T));
        else turn(to, count, as<T>(from) + row * count * call.places + at.at, call.places, count, at.count);
    }
    void scatter(void* to, const T* from, int64_t row, int count, const Patch& at) const {
        if (count) turn(as<T>(to) + row * count * call.places + at.at, call.places, from, count, at.count, count);
    }
    void gather_row(const Patch& at, int64_t row) const {
        gather(gates, call.pre, row, layout.rows, at);
        for (int k = 0; k < predecessors; ++k) gather(of_predecessor(previous, k), call.previous, k * call.batch + row, cells, at);
    }
    T* gate(T* of, int g, int i) const { return learned(call.row, g) ? of + i * layout.rows + layout.rows_at[g] : nullptr; }
    T* peephole(T* of, int g, int i) const {
        return layout.peephole[g] < 0 ? nullptr : of + (i * layout.peepholes + layout.peephole[g]) * cells;
    }
    ForwardRow<T> forward_row(int i) const {
        ForwardRow<T> s{};
        for (int g = 0; g < kGates; ++g) {
            s.pre[g] = s.gate[g] = gate(gates, g, i);
            s.peephole[g] = peephole(p, g, i);
        }
        s.previous = previous + i * cells;
        s.cell = cell + i * cells;
        s.hidden = hidden + i * cells;
        return s;
    }
    BackwardRow<T> backward_row(int i) const {
        BackwardRow<T> s{};
        for (int g = 0; g < kGates; ++g) {
            s.gate[g] = s.grad[g] = gate(gates, g, i);
            s.sent[g] = call.grad_activations ? gate(sent, g, i) : nullptr;
            s.peephole[g] = peephole(p, g, i);
            s.grad_peephole[g] = peephole(grad_p, g, i);
        }
        s.previous = previous + i * cells;
        s.cell = cell + i * cells;
        s.hidden[0] = grad_hidden + i * cells;
        s.carry = carry + i * cells;
        return s;
    }
};

template <class Thread, class T> void walk_forward(const Grid<T>& grid, int part, int parts) {
    Thread thread(grid, false);
    grid.walk(part, parts, [&](const Patch& at) { thread.forward(at); });
}
template <class Thread, class T> void walk_backward(const Grid<T>& grid, int part, int parts) {
    Thread thread(grid, true);
    grid.walk(part, parts, [&](const Patch& at) { thread.backward(at); });
}
template <class T> void Grid<T>::run_forward(void* self, int part, int parts) {
    const Grid& grid = *static_cast<Grid*>(self);
    grid.whole ? walk_forward<GridPlaces<T>>(grid, part, parts) : walk_forward<GridUnits<T>>(grid, part, parts);
}
template <class T> void Grid<T>::run_backward(void* self, int part, int parts) {
    const Grid& grid = *static_cast<Grid*>(self);
    grid.whole ? walk_backward<GridPlaces<T>>(grid, part, parts) : walk_backward<GridUnits<T>>(grid, part, parts);
}

}  // namespace carousel::CAROUSEL_TARGET
