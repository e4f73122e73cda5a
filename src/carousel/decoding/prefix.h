// Prefix beam search: the likeliest label sequences of a CTC network, each summed over all its alignments that the beam holds.
#pragma once
#include <memory>
#include "tree.h"

namespace carousel::decoding {

struct Settings {
    int64_t symbols, blank, beam;
    double weight, bonus;                          // of the language model; for each symbol or word
    std::shared_ptr<const Automaton> language;     // may be null
    std::shared_ptr<const Dictionary> dictionary;  // null: any sequence, and the language model is one of symbols
    Integers word;                                 // the language model's number of each symbol, or of each word of the dictionary
    int64_t begin, end, unknown, separator;        // its numbers of sentence begin and end (-1: none) and of words outside; between words
    bool closed;                                   // only words of the dictionary
};

// Where a symbol lies on the best alignment.
struct Spike {
    int64_t before = -1;  // the symbol before it, among those that have ended
    int64_t start = 0, end = 0;
    double peak = kNever;
};

class PrefixSearch {
public:
    // least: so many prefixes may be remembered before those that no longer matter are forgotten.
    PrefixSearch(std::shared_ptr<const Settings> settings, int64_t least);

    // Takes the next frames: log-probabilities (frames, symbols).
    void push(const double* frames, int64_t count);
    // The best of what is held now, the best first; `whole`: as if the sentence ended here.
    std::vector<Found> best(int64_t count, bool whole) const;
    // How many first symbols all that is held have in common: they will not change any more.
    int64_t stable() const { return prefixes_.common(held_); }
    int64_t symbols() const { return settings_->symbols; }

private:
    // A label sequence. What the language model says of it depends on nothing else.
    struct Prefix : Branch {
        int64_t state = 0, spelt = 0;  // spelt: where the word that began last stands in the dictionary, -1 outside
        double language = 0;
    };
    struct Entry {
        int64_t prefix = 0;
        double blank = kNever, label = kNever;            // summed over all alignments, by what ends them
        double best_blank = kNever, best_label = kNever;  // of the best one
        Spike spike_blank, spike_label;                   // the last symbol on it
        double total() const { return log_add(blank, label); }
    };
    struct Candidate { double score; int64_t entry, label; };
    struct Change { double language; int64_t state, spelt; };

    void step(const double* frame);
    void extend(const double* frame);
    void merge(const double* frame, int64_t from, int64_t into);
    void offer(const double* frame, int64_t from);
    Entry grown(const double* frame, const Candidate& candidate);
    void select(const double* frame);
    bool change(const Prefix& prefix, int64_t label, Change& to) const;
    bool end_word(const Prefix& prefix, Change& to) const;
    bool finish(const Prefix& prefix, double& language) const;
    Spike following(const double* frame, int64_t from, int64_t label, double& best);
    int64_t freeze(int64_t from, bool blank);
    int64_t child(int64_t parent, int64_t label);
    Found report(const Entry& entry, double score) const;
    void forget();

    std::shared_ptr<const Settings> settings_;
    Tree<Prefix> prefixes_;
    Chains<Spike> spikes_;
    std::vector<Entry> held_, next_;
    std::vector<Candidate> candidates_;
    Integers entry_of_, present_;                  // by prefix; by (entry, symbol)
    std::vector<std::pair<int64_t, int64_t>> frozen_;  // by entry: its spikes among those that have ended
    Reals scores_;
    double bound_ = kNever, gain_ = 0;
    int64_t time_ = 0;
    size_t least_, crowd_;
};

}  // namespace carousel::decoding
