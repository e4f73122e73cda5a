// What a row of the table means for memory: the C++ twin of carousel/cells/layout.py.
#pragma once
#include "cells.h"
#include "simd.h"

namespace carousel::CAROUSEL_TARGET {

enum GateName { kInput, kForget, kCandidate, kOutput, kGates };

// A row that the compiler knows: every question about it folds away. And one that is known only when it runs.
template <int n> struct Fixed { static constexpr Row row = kRows[n]; };
struct Any { Row row; };

inline constexpr const Gate& gate_of(const Row& row, int name) {
    return name == kInput ? row.input : name == kForget ? row.forget : name == kCandidate ? row.candidate : row.output;
}
inline constexpr bool learned(const Row& row, int name) { return gate_of(row, name).kind == Kind::gate; }
inline constexpr bool recurrent(const Row& row, int name) { return learned(row, name) && gate_of(row, name).recurrent != Recurrent::none; }
inline constexpr bool peeps(const Row& row, int name) { return learned(row, name) && gate_of(row, name).peephole != Peephole::none; }
inline constexpr bool sends(const Row& row, int name) { return row.full_gate_recurrence && name != kCandidate && learned(row, name); }

// Where each gate lies: among the learned rows, among the rows of R, among the gates sent on, and its row of p; -1 where it has none.
// On a grid a forget gate has a copy for each predecessor, and a gate that peeps a row of p for each that it peeps at.
struct Layout {
    int units[kGates], rows_at[kGates], recurrent_at[kGates], sent_at[kGates], peephole[kGates];
    int rows = 0, recurrent_rows = 0, sent = 0, peepholes = 0;

    Layout(const Row& row, int hidden, int predecessors = 1) {
        for (int g = 0; g < kGates; ++g) {
            units[g] = g == kCandidate ? hidden : hidden / row.block;
            rows_at[g] = place(learned(row, g), rows, units[g] * (g == kForget ? predecessors : 1));
            recurrent_at[g] = place(recurrent(row, g), recurrent_rows, units[g]);
            sent_at[g] = place(sends(row, g), sent, units[g]);
            peephole[g] = place(peeps(row, g), peepholes, gate_of(row, g).peephole == Peephole::previous ? predecessors : 1);
        }
    }

private:
    static int place(bool present, int& total, int size) {
        if (!present) return -1;
        total += size;
        return total - size;
    }
};

}  // namespace carousel::CAROUSEL_TARGET
