// The recurrence, backwards: first the loop, a thread for its sequences; then the weights' gradients, a thread for its rows.
#pragma once
#include "loop.h"

namespace carousel::CAROUSEL_TARGET {

template <class T> using BackwardUnits = void (*)(const Row&, const BackwardRow<T>&, int begin, int end);
template <class T, class R> void backward_as(const Row& row, const BackwardRow<T>& s, int begin, int end) {
    if constexpr (requires { R{row}; }) backward_units<T>(R{row}, s, begin, end);
    else backward_units<T>(R{}, s, begin, end);
}

template <class T, class W> struct Backward {
    Loop<T> loop;
    BackwardUnits<T> units;
    Packed<W> input, projection, products[kSources];
    Buffer<W> packed;
    const int width[kSources];  // of a carried gradient, padded to whole vectors
    Buffer<T> carry[kSources];  // the gradients of h, c and the gates on their way back, by sequence
    mutable Meeting meeting;
    Buffer<T> grad_peephole, grad_norm_recurrent, grad_norm_cell, grad_hidden, gated, dropped[kFromGates];

    Backward(const Call& call, BackwardUnits<T> of_row)
        : loop(call), units(of_row), packed(packed_size()), width{padded(loop.output, kLanes<T>), padded(loop.hidden, kLanes<T>), padded(loop.layout.sent, kLanes<T>)},
          carry{carry_of(kFromHidden), carry_of(kFromCell), carry_of(kFromGates)}, grad_peephole(peephole_size()),
          grad_norm_recurrent(norm_size(loop.layout.recurrent_rows)), grad_norm_cell(norm_size(loop.hidden)), grad_hidden(projected() * size_t(loop.output)),
          gated(projected() * size_t(loop.hidden)), dropped{Buffer<T>(dropped_size(kFromHidden)), Buffer<T>(dropped_size(kFromCell))} {
        grad_peephole.zero(peephole_size());
        grad_norm_recurrent.zero(norm_size(loop.layout.recurrent_rows));
        grad_norm_cell.zero(norm_size(loop.hidden));
        pack();
    }
    int depth(int source) const {
        int total = 0;
        for (int g = 0; g < kGates; ++g) total += loop.reads(source, g) ? loop.layout.units[g] : 0;
        return total;
    }
    void run();

private:
    static void run_part(void* self, int part, int parts);
    static void run_team(void* self, int part, int parts);
    static void run_weights(void* self, int part, int parts);
    void finish();
    Buffer<T> carry_of(int source) const { return Buffer<T>(size_t(loop.batch) * size_t(width[source])); }
    size_t projected() const { return loop.call.P ? size_t(loop.time) * size_t(loop.batch) : 0; }
    size_t norm_size(int units) const { return loop.call.row.norm == Norm::none ? 0 : 2 * size_t(loop.batch) * size_t(units); }
    size_t dropped_size(int source) const {
        return loop.call.drop_hidden && depth(source) ? size_t(loop.time) * size_t(loop.batch) * size_t(loop.source_width(source)) : 0;
    }
    size_t peephole_size() const { return size_t(loop.batch) * size_t(loop.layout.peepholes) * size_t(loop.hidden); }
    static size_t size(int columns, int depth) { return Packed<W>::size(columns, factors<W>(depth)); }
    size_t packed_size() const {
        size_t total = loop.call.grad_x ? size(int(loop.call.inputs), loop.layout.rows) : 0;
        total += loop.call.P ? size(loop.hidden, loop.output) : 0;
        for (int source = 0; source < kSources; ++source) total += size(loop.source_width(source), depth(source));
        return total;
    }
    void pack() {
        W* at = packed;
        const int widest = most(loop.layout.rows, loop.output);
        Buffer<const T*> rows{size_t(widest)};
        auto pack_one = [&](int columns, int depth) {
            pack_rows<W>(at, rows, 0, columns, depth);
            const Packed<W> one{at, columns, factors<W>(depth)};
            at += size(columns, depth);
            return one;
        };
        if (loop.call.grad_x) {
            for (int n = 0; n < loop.layout.rows; ++n) rows[n] = as<T>(loop.call.W) + ptrdiff_t(n) * loop.call.inputs;
            input = pack_one(int(loop.call.inputs), loop.layout.rows);
        }
        if (loop.call.P) {
            for (int n = 0; n < loop.output; ++n) rows[n] = as<T>(loop.call.P) + ptrdiff_t(n) * loop.hidden;
            projection = pack_one(loop.hidden, loop.output);
        }
        for (int source = 0; source < kSources; ++source) {
            int n = 0;
            for (int g = 0; g < kGates; ++g)
                for (int u = 0; loop.reads(source, g) && u < loop.layout.units[g]; ++u)
                    rows[n++] = loop.weights(source, g) + ptrdiff_t(u) * loop.source_width(source);
            if (n) products[source] = pack_one(loop.source_width(source), n);
        }
    }
};

template <class T, class W> struct BackwardThread {
    const Backward<T, W>& shared;
    const Loop<T>& loop;
    const Call& call;
    const Layout& layout;
    const int part;
    int parts;  // of a team; 1 where this thread has sequences of its own
    Share<T> share;
    Units<T> own;
    const bool general;
    General<T> path;
    Buffer<T> compact[kSources], grad_gated, total, kept, product;
    const int ahead;  // rows of the gradient of x that are computed together
    int waiting = 0;
    Buffer<const T*> left, passed;
    Factors<W> gates[kSources], projected, inputs;
    Buffer<const W*> shifted;
    Buffer<T*> out, grad_x;

    // `sequences` says which share of the sequences this is, `units` which part of the units.
    BackwardThread(const Backward<T, W>& of, Portion sequences, Portion units)
        : shared(of), loop(of.loop), call(of.loop.call), layout(of.loop.layout), part(units.part), parts(units.parts), share(of.loop, sequences.part, sequences.parts),
          own(of.loop.hidden, units.part, units.parts), general(loop.general()), path(call.row, layout, loop.hidden),
          compact{rows_of(of.depth(0)), rows_of(of.depth(1)), rows_of(of.depth(2))}, grad_gated(rows_of(call.P ? of.width[1] : 0)),
          total(rows_of(general ? of.width[0] : 0)), kept(rows_of(general ? of.width[0] : 0)), product(rows_of(call.drop_hidden ? most(of.width[0], of.width[1]) : 0)),
          ahead(most(share.count, int(kChunk))), left(size_t(share.count)), passed(size_t(ahead)), gates{recurring(kFromHidden), recurring(kFromCell), recurring(kFromGates)},
          projected(share.count, call.P ? loop.output : 0), inputs(ahead, call.grad_x ? layout.rows : 0), shifted(size_t(ahead)), out(size_t(share.count)),
          grad_x(size_t(ahead)) {}

    void run() {
        for (int s = loop.time - 1; s >= 0; --s)
            if (!step(call.reverse ? loop.time - 1 - s : s)) return;
        flush();
        for (int r = 0; r < share.count && part == 0; ++r) finish(share.rows[r]);
    }

private:
    Factors<W> recurring(int source) const { return {share.count, shared.depth(source)}; }
    Buffer<T> rows_of(int columns) const { return Buffer<T>(size_t(share.count) * size_t(columns)); }
    T* row(T* of, int source, int r) const { return of + size_t(r) * size_t(shared.width[source]); }
    T* carry(int source, int r) const { return row(shared.carry[source], source, share.rows[r]); }
    T* grad_row(int t, int b) const { return as<T>(call.grad_gates) + loop.cell_at(t, b) * size_t(layout.rows); }
    // Waits for the team: whether this thread has anything left to do.
    bool meet() {
        if (parts == 1 || shared.meeting.wait(parts)) return true;
        flush();
        parts = 1;
        own = Units<T>(loop.hidden, 0, 1);
        return part == 0;
    }

    bool step(int t) {
        const int active = share.active(t);
        for (int r = 0; r < active; ++r)
            if (loop.last(t, share.rows[r])) begin(r);
        if (call.zoneout_hidden)
            for (int r = 0; r < active; ++r) zone_in(t, r);
        if (call.P) project(t, active);
        for (int r = 0; r < active; ++r) advance(t, r);
        if (call.norm_recurrent)
            for (int r = 0; r < active; ++r) normalize_back(t, r);
        if (!meet()) return false;
        for (int source = 0; source < kSources; ++source)
            if (shared.products[source].depth) multiply_back(source, t, active);
        if (layout.recurrent_rows == 0 || !shared.products[kFromHidden].depth)
            for (int r = 0; r < active; ++r) memset(carry(kFromHidden, r), 0, size_t(shared.width[kFromHidden]) * sizeof(T));
        if (call.zoneout_hidden)
            for (int r = 0; r < active; ++r) zone_out(r);
        if (call.grad_x) look_back(t, active);
        for (int r = 0; r < active; ++r) leave(t, r);
        return true;
    }
    // The gradients of a sequence's last state, where it begins on its way back.
    void begin(int r) {
        void* const last[] = {call.grad_last_hidden, call.grad_last_cell, call.grad_last_gates};
        for (int source = 0; source < kSources; ++source) {
            const int width = loop.source_width(source), from = begins_at(), count = ends_at(width) - from;
            if (!width) continue;
            T* to = carry(source, r) + from;
            memset(to, 0, size_t(count) * sizeof(T));
            if (last[source]) memcpy(to, as<T>(last[source]) + size_t(share.rows[r]) * size_t(width) + from, size_t(count) * sizeof(T));
        }
    }
    // The part of a state that is this thread's.
    int begins_at() const { return parts > 1 ? own.begin : 0; }
    int ends_at(int width) const { return parts > 1 ? own.end : width; }
    const T* grad_output(int t, int b) const {
        return call.grad_outputs ? as<T>(call.grad_outputs) + t * call.grad_outputs_stride.time + b * call.grad_outputs_stride.batch : loop.zeros.data;
    }
    // Parts the gradient of h_t: what zoneout took from the step before, and what the step made.
    void zone_in(int t, int r) {
        const int b = share.rows[r];
        const T *mask = loop.zoneout_hidden(t, b), *one = grad_output(t, b);
        T *other = carry(kFromHidden, r), *made = row(total, kFromHidden, r), *stayed = row(kept, kFromHidden, r);
        for (int u = 0; u < loop.output; ++u) {
            const T d = one[u] + other[u];
            made[u] = d - d * mask[u];
            stayed[u] = d * mask[u];
        }
        memset(other, 0, size_t(shared.width[kFromHidden]) * sizeof(T));
    }
    void zone_out(int r) {
        T* to = carry(kFromHidden, r);
        for (int u = 0; u < loop.output; ++u) to[u] += row(kept, kFromHidden, r)[u];
    }
    const T* grad_made(int t, int r) const { return call.zoneout_hidden ? row(total, kFromHidden, r) : grad_output(t, share.rows[r]); }
    // The gradient of what a projection reads, from that of what it gives.
    void project(int t, int active) {
        for (int r = 0; r < active; ++r) {
            const int b = share.rows[r];
            T* sum = shared.grad_hidden + loop.cell_at(t, b) * size_t(loop.output);
            const T *one = grad_made(t, r), *other = carry(kFromHidden, r);
            for (int u = 0; u < loop.output; ++u) sum[u] = one[u] + other[u];
            left[r] = sum;
            out[r] = row(grad_gated, kFromCell, r);
        }
        multiply(shared.projection, Product<W>{projected.of(left, active, loop.output), out, active}, shifted.data, 0, shared.projection.panels());
    }
    void advance(int t, int r) {
        const int b = share.rows[r];
        BackwardRow<T> s;
        T* grad = grad_row(t, b);
        const T* kept = as<T>(call.activations) + loop.cell_at(t, b) * size_t(layout.rows);
        for (int g = 0; g < kGates; ++g) {
            if (layout.rows_at[g] < 0) continue;
            s.gate[g] = kept + layout.rows_at[g];
            s.grad[g] = grad + layout.rows_at[g];
            s.peephole[g] = loop.peephole(g);
            s.grad_peephole[g] = shared.grad_peephole + (size_t(b) * size_t(layout.peepholes) + size_t(most(0, layout.peephole[g]))) * size_t(loop.hidden);
            s.sent[g] = layout.sent_at[g] < 0 ? nullptr : carry(kFromGates, r) + layout.sent_at[g];
        }
        s.previous = loop.cell_before(t, b);
        s.cell = loop.cell_row(t, b);
        s.hidden[0] = call.P ? row(grad_gated, kFromCell, r) : grad_made(t, r);
        s.hidden[1] = call.P ? nullptr : carry(kFromHidden, r);
        s.carry = carry(kFromCell, r);
        s.output = call.P ? shared.gated + loop.cell_at(t, b) * size_t(loop.hidden) : nullptr;
        if (!general) return shared.units(call.row, s, own.begin, own.end);
        Extras<T> extras = loop.extras(t, b);
        extras.grad_norm_cell = shared.grad_norm_cell + 2 * size_t(b) * size_t(loop.hidden);
        path.backward(s, extras);
        if (call.drop_hidden) drop(t, b);
    }
    // What R read in this step, for the gradient of R.
    void drop(int t, int b) {
        for (int source = kFromHidden; source < kFromGates; ++source) {
            if (!shared.depth(source)) continue;
            const T *from = source == kFromHidden ? loop.hidden_before(t, b) : loop.cell_before(t, b), *mask = loop.drop_hidden(t, b);
            T* to = shared.dropped[source] + loop.cell_at(t, b) * size_t(loop.source_width(source));
            for (int u = 0; u < loop.source_width(source); ++u) to[u] = from[u] * mask[u];
        }
    }
    // From the gradient of the normalised products to that of the products, over what was saved of them.
    void normalize_back(int t, int r) {
        const int b = share.rows[r], count = layout.recurrent_rows;
        T* hat = as<T>(call.normalized) + loop.cell_at(t, b) * size_t(count);
        T* grads = shared.grad_norm_recurrent + 2 * size_t(b) * size_t(count);
        Buffer<T> d{size_t(count)};
        for (int g = 0; g < kGates; ++g)
            if (layout.recurrent_at[g] >= 0)
                memcpy(d + layout.recurrent_at[g], grad_row(t, b) + layout.rows_at[g], size_t(layout.units[g]) * sizeof(T));
        each(count, kLanes<T>, [&](int u, int n) {
            const Vec<T> one = load(d + u, n);
            store(grads + u, load(grads + u, n) + one * load(hat + u, n), n);
            store(grads + count + u, load(grads + count + u, n) + one, n);
            store(d + u, one * load(as<T>(call.norm_recurrent) + u, n), n);
        });
        normalized_backward<T>(d, hat, as<T>(call.deviation)[loop.cell_at(t, b)], count);
        memcpy(hat, d, size_t(count) * sizeof(T));
    }
    // The gradient of what a product read, from the gates' gradients; c has one of its own already.
    void multiply_back(int source, int t, int active) {
        for (int r = 0; r < active; ++r) {
            left[r] = gathered(source, t, r);
            out[r] = masked(source) ? row(product, source, r) : carry(source, r);
        }
        const W* const* factor = gates[source].of(left, active, shared.depth(source));
        multiply(shared.products[source], Product<W>{factor, out, active, nullptr, source == kFromCell && !masked(source)}, shifted.data, panel(begins_at()),
                 panel(ends_at(loop.source_width(source))));
        for (int r = 0; r < active && masked(source); ++r) {
            const T *mask = loop.drop_hidden(t, share.rows[r]), *from = row(product, source, r);
            T* to = carry(source, r);
            for (int u = 0; u < loop.source_width(source); ++u) to[u] = from[u] * mask[u] + (source == kFromCell ? to[u] : T(0));
        }
    }
    static int panel(int unit) { return (unit + kPanelLanes<T> - 1) / kPanelLanes<T>; }
    bool masked(int source) const { return call.drop_hidden && source != kFromGates; }
    const T* gathered(int source, int t, int r) const {
        const bool normalized = call.norm_recurrent && source != kFromGates;
        const T* grad = normalized ? as<T>(call.normalized) + loop.cell_at(t, share.rows[r]) * size_t(layout.recurrent_rows) : grad_row(t, share.rows[r]);
        if (shared.depth(source) == (normalized ? layout.recurrent_rows : layout.rows)) return grad;
        T* to = compact[source] + size_t(r) * size_t(shared.depth(source));
        T* at = to;
        for (int g = 0; g < kGates; ++g) {
            if (!loop.reads(source, g)) continue;
            memcpy(at, grad + (normalized ? layout.recurrent_at[g] : layout.rows_at[g]), size_t(layout.units[g]) * sizeof(T));
            at += layout.units[g];
        }
        return to;
    }
    // The gradient of x, for some steps at a time.
    void look_back(int t, int active) {
        for (int r = 0; r < active; ++r, ++waiting) {
            passed[waiting] = grad_row(t, share.rows[r]);
            grad_x[waiting] = as<T>(call.grad_x) + loop.cell_at(t, share.rows[r]) * size_t(call.inputs);
        }
        if (waiting + share.count > ahead) flush();
    }
    void flush() {
        const int begin = waiting * part / parts, end = waiting * (part + 1) / parts;
        const W* const* factor = inputs.of(passed + begin, end - begin, layout.rows);
        if (begin < end) multiply(shared.input, Product<W>{factor, grad_x + begin, end - begin}, shifted.data, 0, shared.input.panels());
        waiting = 0;
    }
    // Where a sequence began, its gradient belongs to the state that it began with.
    void leave(int t, int r) {
        const int b = share.rows[r];
        const bool begins = loop.begins(t, b);
        if (!begins && !loop.first(t, b)) return;
        void* const fresh[] = {call.grad_fresh_hidden, call.grad_fresh_cell, call.grad_fresh_gates};
        void* const initial[] = {call.grad_initial_hidden, call.grad_initial_cell, call.grad_initial_gates};
        for (int source = 0; source < kSources; ++source) {
            T* from = carry(source, r);
            const int count = loop.source_width(source);
            T* to = as<T>(begins ? fresh[source] : initial[source]);
            for (int u = begins_at(); to && u < ends_at(count); ++u) to[size_t(b) * size_t(count) + size_t(u)] += from[u];
            if (count) memset(from + begins_at(), 0, size_t(ends_at(count) - begins_at()) * sizeof(T));
        }
    }
    void finish(int b) {
        for (int t = loop.length(b); t < loop.time; ++t) {
            memset(grad_row(t, b), 0, size_t(layout.rows) * sizeof(T));
            if (call.grad_x) memset(as<T>(call.grad_x) + loop.cell_at(t, b) * size_t(call.inputs), 0, size_t(call.inputs) * sizeof(T));
        }
        if (loop.length(b)) return;
        void* const last[] = {call.grad_last_hidden, call.grad_last_cell, call.grad_last_gates};
        void* const initial[] = {call.grad_initial_hidden, call.grad_initial_cell, call.grad_initial_gates};
        for (int source = 0; source < kSources; ++source) {
            const size_t count = size_t(loop.source_width(source));
            if (last[source] && initial[source]) memcpy(as<T>(initial[source]) + size_t(b) * count, as<T>(last[source]) + size_t(b) * count, count * sizeof(T));
        }
    }
};

// The sums over all steps, each thread for some rows of every matrix.
template <class T, class W> struct WeightGradients {
    Backward<T, W>& shared;
    const Loop<T>& loop;
    const Call& call;
    const Layout& layout;
    const int part, parts;
    Buffer<const T*> grads, inputs, reads;  // a pointer for each step of each sequence
    int count = 0;
    static constexpr int kTogether = 2;
    Outer<T> pending{};
    Right<T> rights[kTogether];
    int number = 0;

    WeightGradients(Backward<T, W>& of, int part, int parts)
        : shared(of), loop(of.loop), call(of.loop.call), layout(of.loop.layout), part(part), parts(parts), grads(steps()), inputs(steps()), reads(steps()) {}

    void run() {
        list(grads, [&](int t, int b) { return as<T>(call.grad_gates) + loop.cell_at(t, b) * size_t(layout.rows); });
        if (call.grad_b) sum_columns();
        if (call.grad_W) {
            list(inputs, [&](int t, int b) { return loop.x_row(t, b); });
            add_outer({grads, count, 0, 0, layout.rows}, {inputs, int(call.inputs), as<T>(call.grad_W), call.inputs});
        }
        if (call.grad_R) recurrent();
        flush();
        if (call.grad_G) gates();
        if (call.grad_P) {
            list(grads, [&](int t, int b) { return shared.grad_hidden + loop.cell_at(t, b) * size_t(loop.output); });
            list(reads, [&](int t, int b) { return shared.gated + loop.cell_at(t, b) * size_t(loop.hidden); });
            add_outer({grads, count, 0, 0, loop.output}, {reads, loop.hidden, as<T>(call.grad_P), loop.hidden});
            flush();
        }
    }

private:
    size_t steps() const { return size_t(loop.time) * size_t(loop.batch); }
    template <class Pointer> void list(const T** to, Pointer pointer) {
        count = 0;
        for (int t = 0; t < loop.time; ++t)
            for (int b = 0; b < loop.batch; ++b)
                if (t < loop.length(b)) to[count++] = pointer(t, b);
    }
    int share(int rows, int at) const { return least(rows, padded(int(int64_t(rows) * at / parts), kStrip)); }
    // This thread's rows of a product; what has the same left factor as the one before is summed together with it.
    void add_outer(Outer<T> outer, const Right<T>& right) {
        const int rows = outer.end;
        outer.begin = share(rows, part);
        outer.end = share(rows, part + 1);
        if (number && (number == kTogether || outer.left != pending.left || outer.first != pending.first || outer.end != pending.end)) flush();
        pending = outer;
        rights[number++] = right;
    }
    void flush() {
        if (number) outer_products<W>(pending, rights, number);
        number = 0;
    }
    const T* read(int source, int t, int b) const {
        if (call.drop_hidden) return shared.dropped[source] + loop.cell_at(t, b) * size_t(loop.source_width(source));
        return source == kFromHidden ? loop.hidden_before(t, b) : loop.cell_before(t, b);
    }
    void recurrent() {
        const int* at = call.norm_recurrent ? layout.recurrent_at : layout.rows_at;
        if (call.norm_recurrent) {
            flush();
            list(grads, [&](int t, int b) { return as<T>(call.normalized) + loop.cell_at(t, b) * size_t(layout.recurrent_rows); });
        }
        for (int source = kFromHidden; source <= kFromCell; ++source) {
            if (!shared.depth(source)) continue;
            if (source == kFromCell) flush();
            list(reads, [&](int t, int b) { return read(source, t, b); });
            const int columns = loop.source_width(source);
            for (int g = 0; g < kGates;) {
                if (!loop.reads(source, g)) { ++g; continue; }
                const int begin = g;
                int rows = 0;
                for (; g < kGates && (loop.reads(source, g) || layout.rows_at[g] < 0); ++g) rows += layout.rows_at[g] < 0 ? 0 : layout.units[g];
                add_outer({grads, count, at[begin], 0, rows}, {reads, columns, as<T>(call.grad_R) + ptrdiff_t(layout.recurrent_at[begin]) * columns, columns});
            }
        }
    }
    void gates() {
        for (int from = 0; from < kGates; ++from) {
            if (layout.sent_at[from] < 0) continue;
            list(grads, [&](int t, int b) { return as<T>(call.grad_gates) + loop.cell_at(t, b) * size_t(layout.rows); });
            list(reads, [&](int t, int b) {
                const T* state = loop.start(kFromGates, t, b);
                return state ? state + layout.sent_at[from]
                             : as<T>(call.activations) + loop.cell_at(loop.before(t), b) * size_t(layout.rows) + layout.rows_at[from];
            });
            for (int to = 0; to < kGates; ++to)
                if (layout.sent_at[to] >= 0)
                    add_outer({grads, count, layout.rows_at[to], 0, layout.units[to]},
                              {reads, layout.units[from], as<T>(call.grad_G) + ptrdiff_t(layout.sent_at[to]) * layout.sent + layout.sent_at[from], layout.sent});
            flush();
        }
    }
    void sum_columns() {
        T* total = as<T>(call.grad_b);
        const int begin = share(layout.rows, part), end = share(layout.rows, part + 1);
        for (int k = 0; k < count; ++k)
            for (int u = begin; u < end; u += kLanes<T>) {
                const int n = least(kLanes<T>, end - u);
                store(total + u, load(total + u, n) + load(grads[k] + u, n), n);
            }
    }
};

template <class T, class W> void Backward<T, W>::run() {
    if (loop.team > 1) together(loop.team, run_team, this);
    else parallel(loop.parts(), run_part, this);
    parallel(loop.small() ? 1 : most(1, loop.call.threads), run_weights, this);
    finish();
}
template <class T, class W> void Backward<T, W>::run_part(void* self, int part, int parts) { BackwardThread<T, W>(*static_cast<Backward*>(self), {part, parts}, {}).run(); }
template <class T, class W> void Backward<T, W>::run_team(void* self, int part, int parts) { BackwardThread<T, W>(*static_cast<Backward*>(self), {}, {part, parts}).run(); }
template <class T, class W> void Backward<T, W>::run_weights(void* self, int part, int parts) {
    WeightGradients<T, W>(*static_cast<Backward*>(self), part, parts).run();
}
// Gradients that were kept by sequence, summed in the order of the batch.
template <class T, class W> void Backward<T, W>::finish() {
    auto add = [&](void* to, const T* from, int count) {
        for (int b = 0; to && b < loop.batch; ++b)
            for (int u = 0; u < count; ++u) as<T>(to)[u] += from[size_t(b) * size_t(count) + size_t(u)];
    };
    add(loop.call.grad_p, grad_peephole, loop.layout.peepholes * loop.hidden);
    add(loop.call.grad_norm_recurrent, grad_norm_recurrent, 2 * loop.layout.recurrent_rows);
    add(loop.call.grad_norm_cell, grad_norm_cell, 2 * loop.hidden);
}

}  // namespace carousel::CAROUSEL_TARGET
