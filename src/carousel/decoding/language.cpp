#include "language.h"
#include <cmath>
#include <utility>

namespace carousel::decoding {

double log_add(double a, double b) {
    const double most = a > b ? a : b, least = a > b ? b : a;
    return least == kNever ? most : most + std::log1p(std::exp(least - most));
}

static void check(bool right, const char* what) {
    if (!right) throw std::invalid_argument(what);
}

static bool within(const Integers& numbers, int64_t least, int64_t end) {
    return std::all_of(numbers.begin(), numbers.end(), [=](int64_t each) { return each >= least && each < end; });
}

Automaton::Automaton(Integers begin, Integers word, Reals cost, Integers next, Reals weight, Integers shorter, double unseen)
    : begin_(std::move(begin)), word_(std::move(word)), next_(std::move(next)), shorter_(std::move(shorter)), cost_(std::move(cost)),
      weight_(std::move(weight)), unseen_(unseen), greatest_(unseen) {
    const int64_t states = this->states(), arcs = int64_t(word_.size());
    check(states > 0 && int64_t(begin_.size()) == states + 1 && int64_t(shorter_.size()) == states, "one number for each state");
    check(int64_t(cost_.size()) == arcs && int64_t(next_.size()) == arcs, "one number for each arc");
    check(begin_.front() == 0 && begin_.back() == arcs && std::is_sorted(begin_.begin(), begin_.end()), "arcs of a state follow each other");
    check(within(next_, 0, states), "an arc leads to a state");
    check(shorter_[0] == 0, "nothing is shorter than the empty context");
    for (int64_t state = 1; state < states; ++state)
        check(shorter_[size_t(state)] >= 0 && shorter_[size_t(state)] < state, "a shorter context stands before a longer one");
    double gain = 0;
    for (double each : weight_) gain = std::max(gain, each);
    int64_t depth = 0;
    for (int64_t state = states - 1; state; state = shorter_[size_t(state)]) ++depth;
    for (double each : cost_) greatest_ = std::max(greatest_, each);
    greatest_ += gain * double(depth);
}

Automaton::Arc Automaton::after(int64_t state, int64_t word) const {
    for (double paid = 0;; state = shorter_[size_t(state)]) {
        const auto from = word_.begin() + begin_[size_t(state)], to = word_.begin() + begin_[size_t(state) + 1];
        const auto found = std::lower_bound(from, to, word);
        if (found != to && *found == word) {
            const size_t arc = size_t(found - word_.begin());
            return {paid + cost_[arc], next_[arc]};
        }
        if (!state) return {paid + unseen_, 0};
        paid += weight_[size_t(state)];
    }
}

Dictionary::Dictionary(const Integers& begin, const Integers& labels) : nodes_{{-1, -1, -1, -1}} {
    check(!begin.empty() && begin.front() == 0 && begin.back() == int64_t(labels.size()), "words follow each other");
    for (size_t word = 0; word + 1 < begin.size(); ++word) {
        check(begin[word] < begin[word + 1], "a word has a label");
        int64_t node = 0;
        for (int64_t at = begin[word]; at < begin[word + 1]; ++at) node = add(node, labels[size_t(at)]);
        if (nodes_[size_t(node)].word < 0) nodes_[size_t(node)].word = int64_t(word);
    }
}

int64_t Dictionary::next(int64_t node, int64_t label) const {
    int64_t child = nodes_[size_t(node)].child;
    while (child >= 0 && nodes_[size_t(child)].label != label) child = nodes_[size_t(child)].sibling;
    return child;
}

int64_t Dictionary::add(int64_t node, int64_t label) {
    const int64_t known = next(node, label);
    if (known >= 0) return known;
    nodes_.push_back({-1, label, -1, nodes_[size_t(node)].child});
    return nodes_[size_t(node)].child = int64_t(nodes_.size()) - 1;
}

}  // namespace carousel::decoding
