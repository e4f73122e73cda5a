// The door between Python and the decoders: arrays and numbers in, numbers out; the interpreter's lock is free meanwhile.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>
#include "../ops/cpu/threads.h"
#include "prefix.h"
#include "transducer.h"
#include "words.h"

namespace nb = nanobind;

namespace carousel::decoding {
namespace {

using Array = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;  // float or double
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

std::vector<Report> reported(const std::vector<Found>& all) {
    std::vector<Report> reports;
    for (const Found& found : all) reports.push_back(report(found));
    return reports;
}

std::vector<Report> best(const PrefixSearch& search, int64_t count, bool whole) { return reported(search.best(count, whole)); }

void give(PrefixSearch& search, const Array& frames) { search.push(frames.data(), int64_t(frames.shape(0))); }
void give(TransducerSearch& search, const Numbers& frames) { search.push(frames.data(), int64_t(frames.shape(0))); }

// Searches for themselves: whoever is free takes a share of them. What one of them throws comes out of the call.
template <class Search, class Frames> struct Batch {
    const std::vector<Search*>& searches;
    const std::vector<Frames>& frames;
    std::vector<std::exception_ptr> failed;
};

template <class Search, class Frames> void push_share(void* context, int part, int parts) {
    auto& batch = *static_cast<Batch<Search, Frames>*>(context);
    for (size_t at = size_t(part); at < batch.searches.size(); at += size_t(parts)) {
        try {
            give(*batch.searches[at], batch.frames[at]);
        } catch (...) {
            batch.failed[at] = std::current_exception();
        }
    }
}

template <class Search, class Frames> void push_all(const std::vector<Search*>& searches, const std::vector<Frames>& frames, int threads) {
    Batch<Search, Frames> batch{searches, frames, std::vector<std::exception_ptr>(searches.size())};
    {
        nb::gil_scoped_release free;
        parallel(std::max(1, std::min(threads, int(searches.size()))), push_share<Search, Frames>, &batch);
    }
    for (const std::exception_ptr& each : batch.failed)
        if (each) std::rethrow_exception(each);
}

void push(const std::vector<PrefixSearch*>& searches, const std::vector<Array>& frames, int threads) {
    check(searches.size() == frames.size(), "one array for each search");
    for (size_t at = 0; at < searches.size(); ++at)
        check(searches[at] && int64_t(frames[at].shape(1)) == searches[at]->symbols(), "one number for each symbol");
    push_all(searches, frames, threads);
}

void push_transducers(const std::vector<TransducerSearch*>& searches, const std::vector<Numbers>& frames, int threads) {
    check(searches.size() == frames.size(), "one array for each search");
    for (size_t at = 0; at < searches.size(); ++at) {
        check(searches[at], "a search for each array");
        const Networks& asked = searches[at]->networks();
        check(frames[at].dtype() == (asked.number == 4 ? nb::dtype<float>() : nb::dtype<double>()), "numbers as the networks take them");
        check(int64_t(frames[at].shape(1)) == asked.frame, "one number for each unit of the joint network");
    }
    push_all(searches, frames, threads);
}

const Networks& networks_of(const nb::capsule& asked) {
    check(asked.name() && std::strcmp(asked.name(), kNetworks) == 0, "the networks come from another build of carousel");
    return *static_cast<const Networks*>(asked.data());
}

std::shared_ptr<const TransducerSettings> transducer_settings(
    const std::tuple<int64_t, int64_t, int64_t, int64_t>& sizes, const std::tuple<double, double>& weights, bool normalized,
    std::shared_ptr<const Automaton> language, Integers word, int64_t begin) {
    const auto [symbols, blank, beam, most] = sizes;
    const auto [weight, bonus] = weights;
    check(symbols > 0 && blank >= 0 && blank < symbols && beam > 0 && most >= 0, "sizes are not negative");
    check(!language || int64_t(word.size()) == symbols, "one word for each symbol");
    TransducerSettings made{symbols, blank, beam, most, weight, bonus, normalized, std::move(language), std::move(word), begin};
    return std::make_shared<const TransducerSettings>(std::move(made));
}

std::unique_ptr<TransducerSearch> transducer_beam(std::shared_ptr<const TransducerSettings> settings, const nb::capsule& asked, int64_t least) {
    const Networks& networks = networks_of(asked);
    check(settings->symbols == networks.symbols && settings->blank == networks.blank, "the networks' symbols and blank are those of the search");
    return std::make_unique<TransducerBeamSearch>(std::move(settings), networks, least);
}

std::unique_ptr<TransducerSearch> transducer_greedy(const nb::capsule& asked, int64_t most) {
    check(most >= 0, "a frame adds no label at least");
    return std::make_unique<TransducerGreedySearch>(most, networks_of(asked));
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
    nb::class_<TransducerSettings>(module, "TransducerSettings");
    nb::class_<TransducerSearch>(module, "TransducerSearch")
        .def("best", [](const TransducerSearch& search, int64_t count) { return reported(search.best(count)); })
        .def("stable", &TransducerSearch::stable);
    module.def("transducer_settings", transducer_settings, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
    module.def("transducer_beam", transducer_beam, nb::keep_alive<0, 2>());
    module.def("transducer_greedy", transducer_greedy, nb::keep_alive<0, 1>());
    module.def("push_transducers", push_transducers);
    module.def("settings", settings, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg());
    module.def("vocabulary", vocabulary, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg());
    module.def("push", push);
    module.def("align", align_labels);
    module.def("pass_tokens", pass);
}

}  // namespace carousel::decoding
