// What follows one best alignment: that of given labels, and token passing over a dictionary (Graves 2008).
#pragma once
#include <memory>
#include "language.h"

namespace carousel::decoding {

// Log-probabilities (time, symbols).
struct Frames {
    const double* values;
    int64_t time, symbols;

    double at(int64_t t, int64_t label) const { return values[t * symbols + label]; }
};

struct Aligned {
    double score = kNever;  // of the best alignment; -inf where there is none
    Integers starts, ends;  // of each label, in frames
    Reals peaks;            // its greatest log-probability there
};

// The best alignment of the labels; no alignment is empty spans.
Aligned align(const Frames& frames, const Integers& labels, int64_t blank);

struct Vocabulary {
    Integers begin, labels;  // (words + 1) where each spelling begins; all spellings, one behind the other
    int64_t blank, separator;  // separator: emitted between words, -1 for nothing
    std::shared_ptr<const Automaton> language;  // of single words and pairs; null: all are alike
    Integers word;                              // its number of each word
    int64_t first, last;                        // its numbers of sentence begin and end, -1: none
    double weight, bonus;                       // of the language model; for each word
};

struct Sentence {
    double score = kNever;  // -inf where no sentence fits into the frames
    Integers words, starts, ends;
};

// The words whose best alignment, with the language model, is the best of all.
Sentence pass_tokens(const Frames& frames, const Vocabulary& vocabulary);

}  // namespace carousel::decoding
