// One step of a few sequences: weights are read where they lie, once, and nothing of them is kept.
#pragma once
#include "forward.h"

namespace carousel::CAROUSEL_TARGET {

// out[n] = Σ_k matrix[n][k] vector[k] (+ bias[n]), as many rows at a time as a vector has lanes.
template <class T> void dot_rows(const T* matrix, int rows, int depth, const T* vector, const T* bias, T* out) {
    constexpr int L = kLanes<T>;
    for (int row = 0; row < rows; row += L) {
        const T* from[L];
        for (int i = 0; i < L; ++i) from[i] = matrix + ptrdiff_t(least(row + i, rows - 1)) * depth;
        Vec<T> sums[L] = {};
        int k = 0;
        for (; k + L <= depth; k += L) {
            const Vec<T> x = load(vector + k);
#pragma GCC unroll 16
            for (int i = 0; i < L; ++i) sums[i] += x * load(from[i] + k);
        }
        if (k < depth) {
            const Vec<T> x = load(vector + k, depth - k);
            for (int i = 0; i < L; ++i) sums[i] += x * load(from[i] + k, depth - k);
        }
        transpose<T>(sums);
        for (int width = L / 2; width; width /= 2)
            for (int i = 0; i < width; ++i) sums[i] += sums[i + width];
        const int n = least(L, rows - row);
        store(out + row, bias ? sums[0] + load(bias + row, n) : sums[0], n);
    }
}

// h_t and c_t of every sequence of the batch from x, h_{t-1} and c_{t-1}; for rows without options.
template <class T> void stream_step(const Call& call, ForwardUnits<T> units) {
    const Layout layout(call.row, int(call.hidden));
    const int hidden = int(call.hidden), inputs = int(call.inputs), lanes = kLanes<T>;
    Buffer<T> pre(size_t(layout.rows)), product(size_t(padded(layout.recurrent_rows, lanes) + lanes));
    for (int64_t b = 0; b < call.batch; ++b) {
        const T *h = as<T>(call.initial_hidden) + b * hidden, *c = as<T>(call.initial_cell) + b * hidden;
        dot_rows(as<T>(call.W), layout.rows, inputs, as<T>(call.x) + b * inputs, as<T>(call.b), pre.data);
        ForwardRow<T> row{};
        for (int g = 0; g < kGates; ++g) {
            if (layout.rows_at[g] < 0) continue;
            row.pre[g] = pre + layout.rows_at[g];
            row.peephole[g] = layout.peephole[g] < 0 ? nullptr : as<T>(call.p) + layout.peephole[g] * hidden;
            if (layout.recurrent_at[g] < 0) continue;
            const ptrdiff_t at = layout.recurrent_at[g];
            row.product[g] = product + at;
            dot_rows(as<T>(call.R) + at * hidden, hidden, hidden, gate_of(call.row, g).recurrent == Recurrent::hidden ? h : c,
                     call.b_recurrent ? as<T>(call.b_recurrent) + at : nullptr, product + at);
        }
        row.previous = c;
        row.cell = as<T>(call.last_cell) + b * hidden;
        row.hidden = as<T>(call.last_hidden) + b * hidden;
        units(call.row, row, 0, hidden);
    }
}

}  // namespace carousel::CAROUSEL_TARGET
