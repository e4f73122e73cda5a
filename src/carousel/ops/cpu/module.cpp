// The door between Python and the kernels: addresses in, nothing out; the interpreter's lock is free meanwhile.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <algorithm>
#include <iterator>
#include <stdexcept>
#include "bindings.h"
#include "dispatch.h"
#include "threads.h"

namespace carousel {

static const char* const kTensors[] = {
#define CAROUSEL_NAME(name) #name,
    CAROUSEL_TENSORS(CAROUSEL_NAME)};
static const char* const kStepTensors[] = {CAROUSEL_STEP_TENSORS(CAROUSEL_NAME)};
static const char* const kStrided[] = {CAROUSEL_STRIDED(CAROUSEL_NAME)};
#undef CAROUSEL_NAME
static const char* const kSizes[] = {"time", "batch", "inputs", "hidden", "output"};
static const char* const kStepSizes[] = {"predecessors", "batch", "cells", "places"};

constexpr int kGateNumbers = 4, kRowNumbers = 4 * kGateNumbers + 5;

static Gate gate(const int64_t* from) { return {Kind(from[0]), Squash(from[1]), Recurrent(from[2]), Peephole(from[3])}; }

Row row(const Numbers& from) {
    if (from.size() != kRowNumbers) throw std::invalid_argument("a row has " + std::to_string(kRowNumbers) + " numbers");
    const int64_t* rest = from.data() + 4 * kGateNumbers;
    return {gate(&from[0]), gate(&from[kGateNumbers]), gate(&from[2 * kGateNumbers]), gate(&from[3 * kGateNumbers]), Squash(rest[0]),
            int(rest[1]), rest[2] != 0, rest[3] != 0, Norm(rest[4])};
}

static void append(Numbers& to, const Gate& gate) {
    to.insert(to.end(), {int64_t(gate.kind), int64_t(gate.squash), int64_t(gate.recurrent), int64_t(gate.peephole)});
}

static Numbers numbers(const Row& row) {
    Numbers all;
    for (const Gate& each : {row.input, row.forget, row.candidate, row.output}) append(all, each);
    all.insert(all.end(), {int64_t(row.squash), row.block, row.full_gate_recurrence, row.projection, int64_t(row.norm)});
    return all;
}

static bool same(const Gate& a, const Gate& b) {
    return a.kind == b.kind && a.squash == b.squash && a.recurrent == b.recurrent && a.peephole == b.peephole;
}

// The place of a row in the table, whatever its options: those are read while it runs.
int compiled(const Row& row) {
    const auto alike = [&](const Row& each) {
        return same(row.input, each.input) && same(row.forget, each.forget) && same(row.candidate, each.candidate) &&
               same(row.output, each.output) && row.squash == each.squash && row.full_gate_recurrence == each.full_gate_recurrence;
    };
    const auto found = std::find_if(std::begin(kRows), std::end(kRows), alike);
    return found == std::end(kRows) ? -1 : int(found - std::begin(kRows));
}

static Call call_of(const Numbers& cell, const Numbers& sizes, int flags, const Numbers& pointers, const Numbers& strides, int threads) {
    if (sizes.size() != std::size(kSizes) || pointers.size() != std::size(kTensors) || strides.size() != 2 * std::size(kStrided))
        throw std::invalid_argument("a call has one number for each of SIZES and POINTERS and two for each of STRIDED");
    Call call{};
    call.row = row(cell);
    call.compiled = compiled(call.row);
    call.time = sizes[0], call.batch = sizes[1], call.inputs = sizes[2], call.hidden = sizes[3], call.output = sizes[4];
    call.reverse = flags & 1, call.training = flags & 2, call.accumulate = flags & 4, call.half = flags & 8;
    call.threads = threads;
    size_t at = 0;
#define CAROUSEL_FIELD(name) call.name = reinterpret_cast<void*>(pointers[at++]);
    CAROUSEL_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    at = 0;
#define CAROUSEL_FIELD(name) call.name##_stride = {strides[at], strides[at + 1]}, at += 2;
    CAROUSEL_STRIDED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    return call;
}

static StepCall step_of(const Numbers& cell, const Numbers& sizes, const Numbers& pointers, int threads) {
    if (sizes.size() != std::size(kStepSizes) || pointers.size() != std::size(kStepTensors))
        throw std::invalid_argument("a step has one number for each of STEP_SIZES and STEP_POINTERS");
    StepCall call{};
    call.row = row(cell);
    call.compiled = compiled(call.row);
    call.predecessors = sizes[0], call.batch = sizes[1], call.cells = sizes[2], call.places = sizes[3];
    call.threads = threads;
    size_t at = 0;
#define CAROUSEL_FIELD(name) call.name = reinterpret_cast<void*>(pointers[at++]);
    CAROUSEL_STEP_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    return call;
}

template <class C> static void run(void (*const function[kKinds])(const C&), int kind, const C& call) {
    if (kind < 0 || kind >= kKinds) throw std::invalid_argument("kind is 0 (float) or 1 (double)");
    nb::gil_scoped_release free;
    function[kind](call);
}

static std::vector<std::string> names(const char* const* begin, const char* const* end) { return {begin, end}; }

NB_MODULE(_cpu, module) {
    module.attr("POINTERS") = nb::tuple(nb::cast(names(std::begin(kTensors), std::end(kTensors))));
    module.attr("STRIDED") = nb::tuple(nb::cast(names(std::begin(kStrided), std::end(kStrided))));
    module.attr("SIZES") = nb::tuple(nb::cast(names(std::begin(kSizes), std::end(kSizes))));
    module.attr("STEP_POINTERS") = nb::tuple(nb::cast(names(std::begin(kStepTensors), std::end(kStepTensors))));
    module.attr("STEP_SIZES") = nb::tuple(nb::cast(names(std::begin(kStepSizes), std::end(kStepSizes))));
    std::vector<Numbers> rows;
    for (const Row& each : kRows) rows.push_back(numbers(each));
    module.attr("ROWS") = nb::cast(rows);
    std::vector<std::string> targets;
    for (const Target* target : usable()) targets.emplace_back(target->name);
    module.attr("TARGETS") = nb::cast(targets);
    module.def("target", [] { return chosen().name; });
    module.def("use", [](const std::string& name) {
        if (!choose(name.c_str())) throw std::invalid_argument("this machine has no instruction set called " + name);
    });
    module.def("runtime", &runtime);
    module.def("forward", [](int kind, const Numbers& cell, const Numbers& sizes, int flags, const Numbers& pointers, const Numbers& strides, int threads) {
        run(chosen().forward, kind, call_of(cell, sizes, flags, pointers, strides, threads));
    });
    module.def("population", [](int kind, const Numbers& cell, const Numbers& sizes, int flags, const Numbers& pointers,
                                const Numbers& strides, const Numbers& apart, int64_t count, int threads) {
        if (kind < 0 || kind >= kKinds) throw std::invalid_argument("kind is 0 (float) or 1 (double)");
        if (apart.size() != pointers.size()) throw std::invalid_argument("there is one distance for each of POINTERS");
        const Call first = call_of(cell, sizes, flags, pointers, strides, 1);
        const PopulationCall population{&first, apart.data(), count, threads, chosen().forward[kind]};
        nb::gil_scoped_release free;
        chosen().population[kind](population);
    });
    module.def("backward", [](int kind, const Numbers& cell, const Numbers& sizes, int flags, const Numbers& pointers, const Numbers& strides, int threads) {
        run(chosen().backward, kind, call_of(cell, sizes, flags, pointers, strides, threads));
    });
    bind_stream(module);
    bind_online(module);
    bind_transducer(module);
    module.def("step", [](int kind, const Numbers& cell, const Numbers& sizes, const Numbers& at, int threads) {
        run(chosen().step, kind, step_of(cell, sizes, at, threads));
    });
    module.def("step_backward", [](int kind, const Numbers& cell, const Numbers& sizes, const Numbers& at, int threads) {
        run(chosen().step_backward, kind, step_of(cell, sizes, at, threads));
    });
    module.def("squash", [](int kind, int squash, int64_t from, int64_t to, int64_t count) {
        chosen().squash[kind ? 1 : 0](Squash(squash), reinterpret_cast<const void*>(from), reinterpret_cast<void*>(to), count);
    });
}

}  // namespace carousel
