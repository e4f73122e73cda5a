// A language model with back-off as an automaton, and a dictionary as a tree of spellings.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace carousel::decoding {

inline constexpr double kNever = -std::numeric_limits<double>::infinity();

using Integers = std::vector<int64_t>;
using Reals = std::vector<double>;

// log(exp a + exp b)
double log_add(double a, double b);

// A state is a context; its arcs are the words seen after it, sorted. Where there is none, the back-off weight is paid and the
// shorter context asked; state 0 is the empty one.
class Automaton {
public:
    // begin: (states + 1) where each state's arcs begin; word, cost and next: (arcs); weight and shorter: (states). `unseen`: what a
    // word costs that even the empty context does not know.
    Automaton(Integers begin, Integers word, Reals cost, Integers next, Reals weight, Integers shorter, double unseen);

    struct Arc { double cost; int64_t next; };
    Arc after(int64_t state, int64_t word) const;
    double greatest() const { return greatest_; }  // no word is likelier than that, in any context
    int64_t states() const { return int64_t(weight_.size()); }

private:
    Integers begin_, word_, next_, shorter_;
    Reals cost_, weight_;
    double unseen_, greatest_;
};

// Spellings as a tree: node 0 is the beginning of a word.
class Dictionary {
public:
    // labels: all spellings, one behind the other; begin: (words + 1) where each begins. Words are numbered as they come; of two with
    // one spelling the first is meant.
    Dictionary(const Integers& begin, const Integers& labels);

    int64_t next(int64_t node, int64_t label) const;        // -1: no word goes on so
    int64_t word(int64_t node) const { return nodes_[size_t(node)].word; }  // -1: none ends here

private:
    struct Node { int64_t word, label, child, sibling; };
    int64_t add(int64_t node, int64_t label);
    std::vector<Node> nodes_;
};

}  // namespace carousel::decoding
