// One step of a few sequences: weights are read where they lie, once, and nothing of them is kept.
#pragma once
#include "forward.h"
#include "stream_call.h"

namespace carousel::CAROUSEL_TARGET {

// A vector for each sequence, `stride` numbers apart.
template <class V> struct Vectors {
    V* data;
    ptrdiff_t stride;
    V* operator[](int64_t b) const { return data + b * stride; }
};

template <class T> struct Matrix {
    const T* data;
    int rows, depth;
    const T* bias = nullptr;
};

// The dot products of as many rows as a vector has lanes with one vector.
template <class T> inline Vec<T> dot_lanes(const T* const* from, const T* vector, int depth) {
    constexpr int L = kLanes<T>;
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
    return sums[0];
}

// to[b][n] (+)= Σ_k matrix[n][k] from[b][k] (+ bias[n]): rows that were read for one sequence are at hand for the next.
template <class T> void dot_rows(const Matrix<T>& matrix, Vectors<const T> from, Vectors<T> to, int64_t batch, bool add = false) {
    constexpr int L = kLanes<T>;
    for (int row = 0; row < matrix.rows; row += L) {
        const T* rows[L];
        for (int i = 0; i < L; ++i) rows[i] = matrix.data + ptrdiff_t(least(row + i, matrix.rows - 1)) * matrix.depth;
        const int n = least(L, matrix.rows - row);
        for (int64_t b = 0; b < batch; ++b) {
            Vec<T> sums = dot_lanes<T>(rows, from[b], matrix.depth);
            if (matrix.bias) sums += load(matrix.bias + row, n);
            if (add) sums += load<T>(to[b] + row, n);
            store(to[b] + row, sums, n);
        }
    }
}

// Layer norm in place: gain ⊙ (values - mean) / deviation + bias, and what else there is to add.
template <class T> void normalize(T* values, int count, const T* gain, const T* bias, const T* more) {
    const Moments<T> moments(values, count);
    each(count, kLanes<T>, [&](int u, int n) {
        Vec<T> value = (load(values + u, n) - moments.mean) * moments.scale * load(gain + u, n) + load(bias + u, n);
        if (more) value += load(more + u, n);
        store(values + u, value, n);
    });
}

template <class T> const T* in(const void* pointer) { return static_cast<const T*>(pointer); }

// One layer of the step, from the inputs `x` of all sequences.
template <class T> struct StreamLayer {
    const Step& step;
    const LayerStep& layer;
    const Layout layout;
    const int64_t batch, at;  // at: sequences of the layers before this one
    const int hidden, output;
    const bool general;
    const ptrdiff_t products;  // numbers between the products of two sequences
    Buffer<T> pre, product, gated, kept;

    StreamLayer(const Step& given, int number)
        : step(given), layer(given.layers[number]), layout(given.row, int(layer.hidden)), batch(given.batch), at(number * given.batch),
          hidden(int(layer.hidden)), output(int(layer.output)),
          general(given.row.block > 1 || given.row.norm != Norm::none || given.zoneout_cell != 0),
          products(padded(layout.recurrent_rows + layout.sent, kLanes<T>) + kLanes<T>), pre(size_t(batch) * size_t(layout.rows)),
          product(size_t(batch) * size_t(products)), gated(layer.P ? size_t(batch) * size_t(hidden) : 0), kept(general ? 3 * size_t(hidden) : 0) {}

    void run(const T* x, ForwardUnits<T> units) {
        const bool norm = layer.input_gain;
        dot_rows<T>({in<T>(layer.W), layout.rows, int(layer.inputs), norm ? nullptr : in<T>(layer.b)}, {x, layer.inputs}, {pre, layout.rows}, batch);
        for (int64_t b = 0; norm && b < batch; ++b)
            normalize(pre + b * layout.rows, layout.rows, in<T>(layer.input_gain), in<T>(layer.input_bias), in<T>(layer.b));
        recur();
        if (general) advance_general();
        else
            for (int64_t b = 0; b < batch; ++b) units(step.row, row(b), 0, hidden);
        if (layer.P) dot_rows<T>({in<T>(layer.P), output, hidden}, {gated, hidden}, {after(kHidden, output), output}, batch);
        if (step.zoneout_hidden != 0) zone_out();
    }
    T* after(StateName name, int width) const { return static_cast<T*>(step.after[name]) + at * width; }

private:
    const T* before(StateName name, int width) const { return in<T>(step.before[name]) + at * width; }
    // Where a gate's products lie: those of R side by side, then those of gates that only G reaches.
    int product_at(int g) const { return layout.recurrent_at[g] >= 0 ? layout.recurrent_at[g] : layout.recurrent_rows + layout.sent_at[g]; }

    void recur() {
        const bool norm = layer.recurrent_gain;
        for (int g = 0; g < kGates; ++g) {
            const int row = layout.recurrent_at[g];
            if (row < 0) continue;
            const bool hears = gate_of(step.row, g).recurrent == Recurrent::hidden;
            const int width = hears ? output : hidden;
            const T* bias = norm || !layer.b_recurrent ? nullptr : in<T>(layer.b_recurrent) + row;
            dot_rows<T>({in<T>(layer.R) + ptrdiff_t(row) * width, layout.units[g], width, bias}, {before(hears ? kHidden : kCell, width), width},
                        {product + row, products}, batch);
        }
        for (int64_t b = 0; norm && b < batch; ++b)
            normalize(product + b * products, layout.recurrent_rows, in<T>(layer.recurrent_gain), in<T>(layer.recurrent_bias), in<T>(layer.b_recurrent));
        for (int g = 0; g < kGates; ++g)
            if (sends(step.row, g))
                dot_rows<T>({in<T>(layer.G) + ptrdiff_t(layout.sent_at[g]) * layout.sent, layout.units[g], layout.sent},
                            {before(kSent, layout.sent), layout.sent}, {product + product_at(g), products}, batch, layout.recurrent_at[g] >= 0);
    }
    ForwardRow<T> row(int64_t b) const {
        ForwardRow<T> row{};
        for (int g = 0; g < kGates; ++g) {
            if (layout.rows_at[g] < 0) continue;
            row.pre[g] = pre + b * layout.rows + layout.rows_at[g];
            if (peeps(step.row, g)) row.peephole[g] = in<T>(layer.p) + layout.peephole[g] * hidden;
            if (recurrent(step.row, g) || sends(step.row, g)) row.product[g] = product + b * products + product_at(g);
            if (sends(step.row, g)) row.gate[g] = after(kSent, layout.sent) + b * layout.sent + layout.sent_at[g];
        }
        row.previous = before(kCell, hidden) + b * hidden;
        row.cell = after(kCell, hidden) + b * hidden;
        row.hidden = layer.P ? gated + b * hidden : after(kHidden, hidden) + b * hidden;
        return row;
    }
    void advance_general() {
        T *gain_and_bias = kept, *stays = kept + 2 * hidden;
        if (layer.cell_gain) {
            memcpy(gain_and_bias, layer.cell_gain, size_t(hidden) * sizeof(T));
            memcpy(gain_and_bias + hidden, layer.cell_bias, size_t(hidden) * sizeof(T));
        }
        for (int u = 0; u < hidden; ++u) stays[u] = T(step.zoneout_cell);
        Extras<T> extras;
        extras.norm_cell = gain_and_bias;
        extras.zoneout_cell = step.zoneout_cell != 0 ? stays : nullptr;
        General<T> path(step.row, layout, hidden);
        for (int64_t b = 0; b < batch; ++b) path.forward(row(b), extras);
    }
    void zone_out() {
        const T *old = before(kHidden, output), stays = T(step.zoneout_hidden);
        T* h = after(kHidden, output);
        for (int64_t i = 0; i < batch * output; ++i) h[i] = h[i] * (T(1) - stays) + old[i] * stays;
    }
};

// All layers, each fed by the one before.
template <class T> void stream_step(const Step& step, ForwardUnits<T> units) {
    const T* x = in<T>(step.x);
    Buffer<T> sums(step.residual ? size_t(step.batch) * size_t(step.layers[step.count - 1].output) : 0);
    for (int number = 0; number < step.count; ++number) {
        StreamLayer<T> layer(step, number);
        layer.run(x, units);
        const T* h = layer.after(kHidden, layer.output);
        const bool adds = step.residual && layer.layer.inputs == layer.output;
        for (int64_t i = 0; adds && i < step.batch * layer.output; ++i) sums[i] = h[i] + x[i];
        x = adds ? sums.data : h;
    }
    if (step.outputs) memcpy(step.outputs, x, size_t(step.batch) * size_t(step.layers[step.count - 1].output) * sizeof(T));
}

}  // namespace carousel::CAROUSEL_TARGET
