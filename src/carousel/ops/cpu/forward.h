// The recurrence, forwards: one thread carries its sequences through all steps and waits for nobody.
#pragma once
#include "loop.h"

namespace carousel::CAROUSEL_TARGET {

template <class T> using ForwardUnits = void (*)(const Row&, const ForwardRow<T>&, int begin, int end);
template <class T, class R> void forward_as(const Row& row, const ForwardRow<T>& s, int begin, int end) {
    if constexpr (requires { R{row}; }) forward_units<T>(R{row}, s, begin, end);
    else forward_units<T>(R{}, s, begin, end);
}

template <class T, class W> struct Forward {
    Loop<T> loop;
    ForwardUnits<T> units;
    Packed<W> input, projection, products[kSources][kGates];
    Buffer<W> packed;
    Buffer<T> bias, cells, ahead;  // ahead: shared by a team
    mutable Meeting meeting;

    Forward(const Call& call, ForwardUnits<T> of_row)
        : loop(call), units(of_row), packed(packed_size()), bias(call.b ? size_t(loop.layout.rows) : 0), cells(call.training ? 0 : 2 * size_t(loop.batch) * size_t(loop.hidden)), ahead(ahead_size()) { pack(); }

    void run() {
        if (loop.team > 1) together(loop.team, run_team, this);
        else parallel(loop.parts(), run_part, this);
    }
    int chunk_steps(int sequences) const { return most(1, int(kChunk) / most(1, sequences)); }

private:
    static void run_part(void* self, int part, int parts);
    static void run_team(void* self, int part, int parts);
    size_t ahead_size() const {
        const bool wanted = loop.call.x && !loop.call.training && loop.team > 1;
        return wanted ? size_t(chunk_steps(loop.batch)) * size_t(loop.batch) * size_t(loop.layout.rows) : 0;
    }
    static size_t size(int columns, int depth) { return Packed<W>::size(columns, factors<W>(depth)); }
    size_t packed_size() const {
        const Layout& layout = loop.layout;
        size_t total = loop.call.x ? size(layout.rows, int(loop.call.inputs)) : 0;
        total += loop.call.P ? size(loop.output, loop.hidden) : 0;
        for (int source = 0; source < kSources; ++source)
            for (int g = 0; g < kGates; ++g)
                if (loop.reads(source, g)) total += size(layout.units[g], loop.source_width(source));
        return total;
    }
    void pack() {
        add_biases();
        W* at = packed;
        if (loop.call.x) input = pack_one(at, as<T>(loop.call.W), loop.layout.rows, int(loop.call.inputs));
        if (loop.call.P) projection = pack_one(at, as<T>(loop.call.P), loop.output, loop.hidden);
        for (int source = 0; source < kSources; ++source)
            for (int g = 0; g < kGates; ++g)
                if (loop.reads(source, g))
                    products[source][g] = pack_one(at, loop.weights(source, g), loop.layout.units[g], loop.source_width(source));
    }
    void add_biases() {
        const Layout& layout = loop.layout;
        if (loop.call.b) memcpy(bias, loop.call.b, size_t(layout.rows) * sizeof(T));
        for (int g = 0; g < kGates && loop.call.b && loop.call.b_recurrent; ++g)
            for (int u = 0; u < layout.units[g] && layout.recurrent_at[g] >= 0; ++u)
                bias[layout.rows_at[g] + u] += as<T>(loop.call.b_recurrent)[layout.recurrent_at[g] + u];
    }
    static Packed<W> pack_one(W*& at, const T* matrix, int columns, int depth) {
        pack_matrix(at, matrix, columns, depth);
        const Packed<W> one{at, columns, factors<W>(depth)};
        at += size(columns, depth);
        return one;
    }
};

// One thread's way through time.
template <class T, class W> struct ForwardThread {
    const Forward<T, W>& shared;
    const Loop<T>& loop;
    const Call& call;
    const Layout& layout;
    const int part;
    int parts;  // of a team; 1 where this thread has sequences of its own
    Share<T> share;
    Units<T> own;
    const bool general;
    const int width, chunk_steps;  // units that are multiplied before the step is taken; steps computed ahead
    General<T> path;
    Buffer<T> products, computed, sent, gated, dropped[kFromGates];
    Buffer<T> joined;
    Buffer<const T*> left[kSources], read, before;  // before: h of the step before, whole
    Factors<W> inputs, gates[kSources], projected;
    const W* const* factor[kSources];  // what left[source] is to products
    Buffer<const W*> shifted;
    Buffer<T*> out;
    Buffer<ForwardRow<T>> rows;

    // `sequences` says which share of the sequences this is, `part` which part of the units.
    ForwardThread(const Forward<T, W>& of, Portion sequences, Portion units)
        : shared(of), loop(of.loop), call(of.loop.call), layout(of.loop.layout), part(units.part), parts(units.parts), share(of.loop, sequences.part, sequences.parts),
          own(of.loop.hidden, units.part, units.parts), general(loop.general()), width(general ? padded(loop.hidden, kPanelLanes<T>) : kPanelLanes<T>),
          chunk_steps(of.chunk_steps(share.count)), path(call.row, layout, loop.hidden), products(size_t(kGates) * size_t(share.count) * size_t(width)),
          computed(call.x && !call.training && !of.ahead.data ? size_t(chunk_steps) * size_t(share.count) * size_t(layout.rows) : 0),
          sent(2 * size_t(share.count) * size_t(layout.sent)),
          gated(call.P ? size_t(share.count) * size_t(loop.hidden) : 0),
          dropped{Buffer<T>(call.drop_hidden ? size_t(share.count) * size_t(loop.output) : 0),
                  Buffer<T>(call.drop_hidden ? size_t(share.count) * size_t(loop.hidden) : 0)},
          joined(size_t(layout.recurrent_rows)), left{Buffer<const T*>(size_t(share.count)), Buffer<const T*>(size_t(share.count)), Buffer<const T*>(size_t(share.count))},
          read(size_t(chunk_steps) * size_t(share.count)), before(size_t(share.count)), inputs(chunk_steps * share.count, int(call.inputs)),
          gates{recurring(kFromHidden), recurring(kFromCell), recurring(kFromGates)}, projected(share.count, call.P ? loop.hidden : 0),
          shifted(size_t(chunk_steps) * size_t(share.count)), out(size_t(chunk_steps) * size_t(share.count)), rows(size_t(share.count)) {}

    void run() {
        for (int from = 0; from < loop.time; from += chunk_steps) {
            const int to = least(loop.time, from + chunk_steps);
            if (call.x) look_ahead(from, to);
            if (!meet()) return;
            for (int s = from; s < to; ++s) {
                step(call.reverse ? loop.time - 1 - s : s, s - from);
                if (!meet()) return;
            }
        }
        if (part == 0)
            for (int r = 0; r < share.count; ++r) finish(share.rows[r]);
    }

private:
    Factors<W> recurring(int source) const { return {share.count, loop.reads_any(source) ? loop.source_width(source) : 0}; }
    // Waits for the team: whether this thread has anything left to do.
    bool meet() {
        if (parts == 1 || shared.meeting.wait(parts)) return true;
        parts = 1;
        own = Units<T>(loop.hidden, 0, 1);
        return part == 0;
    }
    // W x + b for the steps [from, to) of the loop, in one product.
    void look_ahead(int from, int to) {
        int count = 0;
        for (int s = from; s < to; ++s) {
            const int t = call.reverse ? loop.time - 1 - s : s, active = share.active(t);
            for (int r = 0; r < active; ++r, ++count) {
                read[count] = loop.x_row(t, share.rows[r]);
                out[count] = ahead_row(t, s - from, r);
            }
        }
        const int begin = count * part / parts, end = count * (part + 1) / parts;
        const W* const* x = inputs.of(read + begin, end - begin, int(call.inputs));
        multiply(shared.input, Product<W>{x, out + begin, end - begin, shared.bias}, shifted.data, 0, shared.input.panels());
    }
    T* ahead_row(int t, int step, int r) const {
        if (call.training) return as<T>(call.activations) + loop.cell_at(t, share.rows[r]) * size_t(layout.rows);
        return (shared.ahead ? shared.ahead : computed) + (size_t(step) * size_t(share.count) + size_t(r)) * size_t(layout.rows);
    }
    T* cell_row(int t, int r) const {
        const int b = share.rows[r];
        return call.training ? loop.cell_row(t, b) : shared.cells + (size_t(t & 1) * size_t(loop.batch) + size_t(b)) * size_t(loop.hidden);
    }
    T* sent_row(int t, int r) const { return sent + (size_t(t & 1) * size_t(share.count) + size_t(r)) * size_t(layout.sent); }

    void prepare(int t, int step, int r) {
        const int b = share.rows[r], earlier = loop.before(t);
        const T* const states[] = {loop.start(kFromHidden, t, b), loop.start(kFromCell, t, b), loop.start(kFromGates, t, b)};
        left[kFromHidden][r] = states[kFromHidden] ? states[kFromHidden] : loop.output_row(earlier, b);
        before[r] = left[kFromHidden][r];
        left[kFromCell][r] = states[kFromCell] ? states[kFromCell] : cell_row(earlier, r);
        left[kFromGates][r] = states[kFromGates] ? states[kFromGates] : sent_row(earlier, r);
        ForwardRow<T>& row = rows[r];
        const T* pre = call.x ? ahead_row(t, step, r) : as<T>(call.gates) + loop.cell_at(t, b) * size_t(layout.rows);
        T* kept = call.training ? as<T>(call.activations) + loop.cell_at(t, b) * size_t(layout.rows) : nullptr;
        for (int g = 0; g < kGates; ++g) {
            if (layout.rows_at[g] < 0) continue;
            row.pre[g] = pre + layout.rows_at[g];
            row.gate[g] = kept ? kept + layout.rows_at[g] : layout.sent_at[g] < 0 ? nullptr : sent_row(t, r) + layout.sent_at[g];
            row.product[g] = product(g, r);
            row.peephole[g] = loop.peephole(g);
        }
        row.previous = left[kFromCell][r];
        row.cell = cell_row(t, r);
        row.hidden = call.P ? gated + size_t(r) * size_t(loop.hidden) : loop.output_row(t, b);
    }

    void step(int t, int step) {
        const int active = share.active(t);
        for (int r = 0; r < active; ++r) prepare(t, step, r);
        if (call.drop_hidden) drop(t, active);
        for (int source = 0; source < kSources; ++source)
            if (loop.reads_any(source)) factor[source] = gates[source].of(left[source], active, loop.source_width(source));
        if (general) advance_general(t, active);
        else
            for (int u = own.begin; u < own.end; u += width) {
                multiply_gates(kFromHidden, kSources, u / width, 0, active);
                for (int r = 0; r < active; ++r) shared.units(call.row, rows[r], u, least(u + width, own.end));
            }
        if (call.P) project(t, active);
        for (int r = 0; r < active; ++r) keep(t, r);
    }
    void project(int t, int active) {
        for (int r = 0; r < active; ++r) {
            out[r] = loop.output_row(t, share.rows[r]);
            read[r] = rows[r].hidden;
        }
        multiply(shared.projection, Product<W>{projected.of(read, active, loop.hidden), out, active}, shifted.data, 0, shared.projection.panels());
        if (call.zoneout_hidden)
            for (int r = 0; r < active; ++r) zone_out(t, r, out[r]);
    }
    T* product(int g, int r) const { return products + (size_t(g) * size_t(share.count) + size_t(r)) * size_t(width); }
    // The products of the sources [begin, end) with one panel of every gate.
    void multiply_gates(int begin, int end, int panel, ptrdiff_t column, int active) {
        for (int g = 0; g < kGates; ++g) {
            bool add = false;
            for (int source = 0; source < end; ++source) {
                if (!loop.reads(source, g)) continue;
                const Packed<W>& packed = shared.products[source][g];
                if (source >= begin && panel < packed.panels()) {
                    const int vectors = packed.vectors(panel);
                    for (int r = 0; r < active; ++r) out[r] = product(g, r);
                    run_panel(Tile<W>{factor[source], 1, packed.panel(panel), vectors, packed.depth, out, column, vectors * kLanes<T>, nullptr, add}, active);
                }
                add = true;
            }
        }
    }
    void advance_general(int t, int active) {
        for (int panel = 0; panel * kPanelLanes<T> < loop.hidden; ++panel) multiply_gates(kFromHidden, kFromGates, panel, panel * kPanelLanes<T>, active);
        if (call.norm_recurrent)
            for (int r = 0; r < active; ++r) normalize(t, r);
        for (int panel = 0; panel * kPanelLanes<T> < loop.hidden; ++panel) multiply_gates(kFromGates, kSources, panel, panel * kPanelLanes<T>, active);
        for (int r = 0; r < active; ++r) {
            path.forward(rows[r], loop.extras(t, share.rows[r]));
            if (call.zoneout_hidden && !call.P) zone_out(t, r, rows[r].hidden);
        }
    }
    // What R reads, with some of it dropped.
    void drop(int t, int active) {
        for (int source = kFromHidden; source < kFromGates; ++source)
            for (int r = 0; r < active && loop.reads_any(source); ++r) {
                const T *mask = loop.drop_hidden(t, share.rows[r]), *from = left[source][r];
                T* to = dropped[source] + size_t(r) * size_t(loop.source_width(source));
                for (int u = 0; u < loop.source_width(source); ++u) to[u] = from[u] * mask[u];
                left[source][r] = to;
            }
    }
    // Layer norm over all that recurs into a sequence's gates.
    void normalize(int t, int r) {
        const size_t at = loop.cell_at(t, share.rows[r]);
        T* hat = joined;
        for (int g = 0; g < kGates; ++g)
            if (layout.recurrent_at[g] >= 0) memcpy(hat + layout.recurrent_at[g], product(g, r), size_t(layout.units[g]) * sizeof(T));
        const Moments<T> moments(hat, layout.recurrent_rows);
        each(layout.recurrent_rows, kLanes<T>, [&](int u, int n) { store(hat + u, (load(hat + u, n) - moments.mean) * moments.scale, n); });
        const T *gain = as<T>(call.norm_recurrent), *bias = gain + layout.recurrent_rows;
        for (int g = 0; g < kGates; ++g) {
            const int from = layout.recurrent_at[g];
            T* to = product(g, r);
            if (from >= 0)
                each(layout.units[g], kLanes<T>, [&](int u, int n) {
                    store(to + u, load(hat + from + u, n) * load(gain + from + u, n) + load(bias + from + u, n), n);
                });
        }
        if (!call.training) return;
        memcpy(as<T>(call.normalized) + at * size_t(layout.recurrent_rows), hat, size_t(layout.recurrent_rows) * sizeof(T));
        as<T>(call.deviation)[at] = moments.scale;
    }
    void zone_out(int t, int r, T* hidden) {
        const T *mask = loop.zoneout_hidden(t, share.rows[r]), *old = before[r];
        each(loop.output, kLanes<T>, [&](int u, int n) {
            const Vec<T> kept = load(mask + u, n);
            store(hidden + u, load(hidden + u, n) * (T(1) - kept) + load(old + u, n) * kept, n);  // exact for 0 and 1
        });
    }
    // After a step: gates that are sent on, and the last state of a sequence that ends here.
    void keep(int t, int r) {
        const int b = share.rows[r];
        if (layout.sent && call.training)
            for (int g = 0; g < kGates; ++g)
                if (layout.sent_at[g] >= 0) memcpy(sent_row(t, r) + layout.sent_at[g], rows[r].gate[g], size_t(layout.units[g]) * sizeof(T));
        if (!loop.last(t, b)) return;
        const int end = parts > 1 ? own.end : loop.output;
        keep_last(call.last_hidden, b, loop.output_row(t, b), loop.output, own.begin, end);
        keep_last(call.last_cell, b, cell_row(t, r), loop.hidden, own.begin, own.end);
        if (layout.sent) keep_last(call.last_gates, b, sent_row(t, r), layout.sent, 0, layout.sent);
    }
    void keep_last(void* to, int b, const T* state, int count, int begin, int end) {
        memcpy(as<T>(to) + size_t(b) * size_t(count) + begin, state + begin, size_t(end - begin) * sizeof(T));
    }
    void finish(int b) {
        for (int t = loop.length(b); t < loop.time; ++t) memset(loop.output_row(t, b), 0, size_t(loop.output) * sizeof(T));
        if (loop.length(b)) return;
        keep_last(call.last_hidden, b, loop.given(call.initial_hidden, b, loop.output), loop.output, 0, loop.output);
        keep_last(call.last_cell, b, loop.given(call.initial_cell, b, loop.hidden), loop.hidden, 0, loop.hidden);
        if (layout.sent) keep_last(call.last_gates, b, loop.given(call.initial_gates, b, layout.sent), layout.sent, 0, layout.sent);
    }
};

template <class T, class W> void Forward<T, W>::run_part(void* self, int part, int parts) {
    ForwardThread<T, W>(*static_cast<Forward*>(self), {part, parts}, {}).run();
}
template <class T, class W> void Forward<T, W>::run_team(void* self, int part, int parts) {
    ForwardThread<T, W>(*static_cast<Forward*>(self), {}, {part, parts}).run();
}

}  // namespace carousel::CAROUSEL_TARGET
