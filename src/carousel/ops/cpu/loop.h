// What all threads of a call share: sizes, rows, and where each step of each sequence finds what came before it.
#pragma once
#include "call.h"
#include "cell.h"
#include "general.h"
#include "matmul.h"
#include "threads.h"

namespace carousel::CAROUSEL_TARGET {

inline constexpr size_t kChunk = 96;  // rows that are multiplied with the input weights at a time
inline constexpr int kFew = 4;        // sequences a thread, up to which threads share the units

enum Source { kFromHidden, kFromCell, kFromGates, kSources };  // what a recurrent product reads

template <class T> T* as(void* pointer) { return static_cast<T*>(pointer); }

template <class T> struct Loop {
    const Call& call;
    const Layout layout;
    const int time, batch, hidden, output;
    Buffer<int> order;  // sequences, the longest first
    Buffer<T> zeros;
    bool ragged = false;
    int team = 1;  // threads that share the units of every step

    explicit Loop(const Call& given)
        : call(given), layout(given.row, int(given.hidden)), time(int(given.time)), batch(int(given.batch)), hidden(int(given.hidden)),
          output(int(given.output)), order(size_t(batch)), zeros(size_t(padded(most(most(hidden, output), layout.sent), 64))) {
        zeros.zero(size_t(padded(most(most(hidden, output), layout.sent), 64)));
        sort();
        team = teams();
    }

    int length(int b) const { return call.lengths ? int(as<int64_t>(call.lengths)[b]) : time; }
    size_t cell_at(int t, int b) const { return (size_t(t) * size_t(batch) + size_t(b)); }
    int source_width(int source) const { return source == kFromHidden ? output : source == kFromCell ? hidden : layout.sent; }
    bool reads(int source, int g) const {
        if (source == kFromGates) return sends(call.row, g);
        return recurrent(call.row, g) && gate_of(call.row, g).recurrent == (source == kFromHidden ? Recurrent::hidden : Recurrent::cell);
    }
    // The rows of R (or G) that belong to a gate.
    const T* weights(int source, int g) const {
        const ptrdiff_t at = source == kFromGates ? layout.sent_at[g] : layout.recurrent_at[g];
        return as<T>(source == kFromGates ? call.G : call.R) + at * source_width(source);
    }

    bool first(int t, int b) const { return t == (call.reverse ? length(b) - 1 : 0); }
    bool last(int t, int b) const { return t == (call.reverse ? 0 : length(b) - 1); }
    int before(int t) const { return call.reverse ? t + 1 : t - 1; }
    // Whether a new sequence begins with step t, in the order of the loop.
    bool begins(int t, int b) const {
        const int at = call.reverse ? t + 1 : t;
        return call.reset && at < length(b) && as<uint8_t>(call.reset)[cell_at(at, b)];
    }
    const T* given(void* state, int b, int width) const { return state ? as<T>(state) + size_t(b) * size_t(width) : zeros; }

    // h, c or the gates before step t, if they are not what a step of this loop left.
    const T* start(int source, int t, int b) const {
        if (!first(t, b) && !call.reset) return nullptr;
        void* const fresh[] = {call.fresh_hidden, call.fresh_cell, call.fresh_gates};
        void* const initial[] = {call.initial_hidden, call.initial_cell, call.initial_gates};
        if (begins(t, b)) return given(fresh[source], b, source_width(source));
        return first(t, b) ? given(initial[source], b, source_width(source)) : nullptr;
    }
    T* output_row(int t, int b) const { return as<T>(call.outputs) + cell_at(t, b) * size_t(output); }
    T* cell_row(int t, int b) const { return as<T>(call.cells) + cell_at(t, b) * size_t(hidden); }
    const T* hidden_before(int t, int b) const {
        const T* state = start(kFromHidden, t, b);
        return state ? state : output_row(before(t), b);
    }
    const T* cell_before(int t, int b) const {
        const T* state = start(kFromCell, t, b);
        return state ? state : cell_row(before(t), b);
    }
    const T* peephole(int g) const { return layout.peephole[g] < 0 ? nullptr : as<T>(call.p) + layout.peephole[g] * hidden; }
    const T* x_row(int t, int b) const { return as<T>(call.x) + t * call.x_stride.time + b * call.x_stride.batch; }

    // Whether a step needs the general path: whole rows of units, in several passes.
    bool general() const {
        return call.row.block > 1 || call.row.norm != Norm::none || call.zoneout_hidden || call.zoneout_cell || call.drop_hidden || call.drop_candidate;
    }
    const T* masked(void* mask, Stride stride, int t, int b) const { return mask ? as<T>(mask) + t * stride.time + b * stride.batch : nullptr; }
    const T* zoneout_hidden(int t, int b) const { return masked(call.zoneout_hidden, call.zoneout_hidden_stride, t, b); }
    const T* drop_hidden(int t, int b) const { return masked(call.drop_hidden, call.drop_hidden_stride, t, b); }
    Extras<T> extras(int t, int b) const {
        return {as<T>(call.norm_cell), masked(call.zoneout_cell, call.zoneout_cell_stride, t, b),
                masked(call.drop_candidate, call.drop_candidate_stride, t, b), nullptr};
    }

    // Whether there is too little to do for a second thread.
    bool small() const { return 2.0 * time * batch * layout.rows * double(call.inputs + output) < 4e6; }
    // How many threads are worth their start, each with sequences of its own.
    int parts() const { return small() ? 1 : most(1, least(call.threads, batch)); }
    // How many threads share the units of every step and wait for each other; 1 where each had better take sequences of its own.
    // It pays where weights stream through the caches for a few sequences: each core keeps its own part of them.
    int teams() const {
        const bool streams = double(layout.recurrent_rows) * output * sizeof(T) > 400e3 && batch < kFew * call.threads;
        if (call.threads < 2 || !streams || general() || call.P || layout.sent || reads_any(kFromCell) || crowded()) return 1;
        return least(call.threads, (hidden + kPanelLanes<T> - 1) / kPanelLanes<T>);
    }
    bool reads_any(int source) const {
        for (int g = 0; g < kGates; ++g)
            if (reads(source, g)) return true;
        return false;
    }

private:
    // Sequences by falling length; those of one length in their own order.
    void sort() {
        Buffer<int> count(size_t(time) + 2);
        count.zero(size_t(time) + 2);
        for (int b = 0; b < batch; ++b) ++count[length(b)];
        ragged = batch && count[length(0)] != batch;
        int at = 0;
        for (int t = time; t >= 0; --t) {
            const int same = count[t];
            count[t] = at;
            at += same;
        }
        for (int b = 0; b < batch; ++b) order[count[length(b)]++] = b;
    }
};

// One part of so many; all of it if nothing else is said.
struct Portion { int part = 0, parts = 1; };

// The units of one thread, whole panels of them.
template <class T> struct Units {
    int begin, end;
    Units(int hidden, int part, int parts) {
        const int panels = (hidden + kPanelLanes<T> - 1) / kPanelLanes<T>;
        begin = least(hidden, panels * part / parts * kPanelLanes<T>);
        end = least(hidden, panels * (part + 1) / parts * kPanelLanes<T>);
    }
};

// The sequences of one thread, the longest first: every so many-th if lengths differ, neighbours if they do not.
template <class T> struct Share {
    const Loop<T>& loop;
    Buffer<int> rows;
    int count = 0;

    Share(const Loop<T>& of, int part, int parts) : loop(of), rows(size_t(of.batch)) {
        if (of.ragged)
            for (int b = part; b < of.batch; b += parts) rows[count++] = of.order[b];
        else
            for (int b = int(int64_t(of.batch) * part / parts); b < int(int64_t(of.batch) * (part + 1) / parts); ++b) rows[count++] = of.order[b];
    }
    // How many sequences have a step t: they are the first ones.
    int active(int t) const {
        int low = 0, high = count;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (loop.length(rows[middle]) > t) low = middle + 1;
            else high = middle;
        }
        return low;
    }
};

}  // namespace carousel::CAROUSEL_TARGET
