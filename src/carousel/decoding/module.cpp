// The door between Python and the decoders: arrays and numbers in, numbers out; the interpreter's lock is free meanwhile.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <algorithm>
#include <exception>
#include <stdexcept>
#include "../ops/cpu/threads.h"
#include "prefix.h"
#include "words.h"

namespace nb = nanobind;

namespace carousel::decoding {
namespace {

using Array = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Report = std::tuple<Integers, Integers, Integers, Reals, double, double>;

Frames frames_of(const Array& array) { return {array.data(), int64_t(array.shape(0)), int64_t(array.shape(1))}; }

void check(bool right, const char* what) {
    if (!right) throw std::invalid_argument(what);
}

void check_labels(const Integers& labels, int64_t least, int64_t symbols) {
    check(std::all_of(labels.begin(), labels.end(), [=](int64_t each) { return each >= least && each < symbols; }), "a label is no symbol");
}

std::shared_ptr<const Settings> settings(
    const std::tuple<int64_t, int64_t, int64_t>& sizes, const std::tuple<double, double>& weights,
    std::shared_ptr<const Automaton> language, std::shared_ptr<const Dictionary> dictionary, Integers word,
    const std::tuple<int64_t, int64_t, int64_t, int64_t>& numbers, bool closed) {
    const auto [symbols, blank, beam] = sizes;
    const auto [weight, bonus] = weights;
    const auto [begin, end, unknown, separator] = numbers;
    check(symbols > 0 && blank >= 0 && blank < symbols && beam > 0 && weight >= 0, "sizes and weights are not negative");
    check(dictionary || int64_t(word.size()) == symbols, "one word for each symbol");
    check(!dictionary || (separator >= 0 && separator < symbols), "words have a separator");
    Settings made{symbols, blank, beam, weight, bonus, std::move(language), std::move(dictionary), std::move(word),
                  begin, end, unknown, separator, closed};
    return std::make_shared<const Settings>(std::move(made));
}

Report report(const Found& found) { return {found.labels, found.starts, found.ends, found.peaks, found.acoustic, found.score}; }

std::vector<Report> best(const PrefixSearch& search, int64_t count, bool whole) {
    std::vector<Report> reports;
    for (const Found& found : search.best(count, whole)) reports.push_back(report(found));
    return reports;
}

// Searches for themselves: whoever is free takes a share of them. What one of them throws comes out of the call.
struct Batch {
    std::vector<PrefixSearch*> searches;
    std::vector<Frames> frames;
    std::vector<std::exception_ptr> failed;
};

void push_share(void* context, int part, int parts) {
    Batch& batch = *static_cast<Batch*>(context);
    for (size_t at = size_t(part); at < batch.searches.size(); at += size_t(parts)) {
        try {
            batch.searches[at]->push(batch.frames[at].values, batch.frames[at].time);
        } catch (...) {
            batch.failed[at] = std::current_exception();
        }
    }
}

void push(const std::vector<PrefixSearch*>& searches, const std::vector<Array>& arrays, int threads) {
    check(searches.size() == arrays.size(), "one array for each search");
    Batch batch{searches, {}, std::vector<std::exception_ptr>(searches.size())};
    for (size_t at = 0; at < searches.size(); ++at) {
        check(searches[at] && int64_t(arrays[at].shape(1)) == searches[at]->symbols(), "one number for each symbol");
        batch.frames.push_back(frames_of(arrays[at]));
    }
    {
        nb::gil_scoped_release free;
        parallel(std::max(1, std::min(threads, int(searches.size()))), push_share, &batch);
    }
    for (const std::exception_ptr& each : batch.failed)
        if (each) std::rethrow_exception(each);
}

std::tuple<double, Integers, Integers, Reals> align_labels(const Array& array, const Integers& labels, int64_t blank) {
    check(blank >= 0 && blank < int64_t(array.shape(1)), "blank is a symbol");
    check_labels(labels, 0, int64_t(array.shape(1)));
    nb::gil_scoped_release free;
    Aligned found = align(frames_of(array), labels, blank);
    return {found.score, found.starts, found.ends, found.peaks};
}

std::tuple<double, Integers, Integers, Integers> pass(const Array& array, const Vocabulary& vocabulary) {
    check(vocabulary.blank < int64_t(array.shape(1)) && vocabulary.separator < int64_t(array.shape(1)), "blank and separator are symbols");
    check_labels(vocabulary.labels, 0, int64_t(array.shape(1)));
    nb::gil_scoped_release free;
    Sentence found = pass_tokens(frames_of(array), vocabulary);
    return {found.score, found.words, found.starts, found.ends};
}

std::shared_ptr<const Vocabulary> vocabulary(
    Integers begin, Integers labels, const std::tuple<int64_t, int64_t, int64_t, int64_t>& numbers,
    std::shared_ptr<const Automaton> language, Integers word, double weight, double bonus) {
    Dictionary(begin, labels);  // checks that words follow each other and have labels
    const auto [blank, separator, first, last] = numbers;
    check(blank >= 0 && (!language || word.size() + 1 == begin.size()), "a blank, and one number for each word");
    Vocabulary made{std::move(begin), std::move(labels), blank, separator, std::move(language), std::move(word), first, last, weight, bonus};
    return std::make_shared<const Vocabulary>(std::move(made));
}

}  // namespace

NB_MODULE(_decoding, module) {
    nb::class_<Automaton>(module, "Automaton")
        .def(nb::init<Integers, Integers, Reals, Integers, Reals, Integers, double>())
        .def("after", [](const Automaton& automaton, int64_t state, int64_t word) {
            check(state >= 0 && state < automaton.states(), "there is no such state");
            const auto arc = automaton.after(state, word);
            return std::tuple(arc.cost, arc.next);
        });
    nb::class_<Dictionary>(module, "Dictionary").def(nb::init<const Integers&, const Integers&>());
    nb::class_<Settings>(module, "Settings");
    nb::class_<Vocabulary>(module, "Vocabulary");
    nb::class_<PrefixSearch>(module, "PrefixSearch")
        .def(nb::init<std::shared_ptr<const Settings>, int64_t>())
        .def("best", best)
        .def("stable", &PrefixSearch::stable);
    module.def("settings", settings, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg());
    module.def("vocabulary", vocabulary, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg());
    module.def("push", push);
    module.def("align", align_labels);
    module.def("pass_tokens", pass);
}

}  // namespace carousel::decoding
