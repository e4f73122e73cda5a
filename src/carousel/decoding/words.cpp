#include "words.h"
#include <algorithm>

namespace carousel::decoding {
namespace {

// A word has two places for each of its labels: the label and the blank behind it. A separator is its first label, which the
// first word of a sentence leaves out.
class TokenPassing {
public:
    TokenPassing(const Frames& frames, const Vocabulary& vocabulary) : frames_(frames), vocabulary_(vocabulary) {
        const size_t words = vocabulary.begin.size() - 1;
        for (size_t word = 0; word < words; ++word) {
            begin_.push_back(int64_t(label_.size()));
            if (vocabulary.separator >= 0) label_.push_back(vocabulary.separator);
            label_.insert(label_.end(), vocabulary.labels.begin() + vocabulary.begin[word], vocabulary.labels.begin() + vocabulary.begin[word + 1]);
        }
        begin_.push_back(int64_t(label_.size()));
        tokens_.resize(2 * label_.size());
        if (!vocabulary.language) return;
        start_ = vocabulary.first < 0 ? 0 : vocabulary.language->after(0, vocabulary.first).next;
        for (size_t word = 0; word < words; ++word) state_.push_back(vocabulary.language->after(0, vocabulary.word[word]).next);
    }

    Sentence run() {
        double silence = 0;
        for (int64_t t = 0; t < frames_.time; ++t) {
            collect_exits();
            const std::vector<Token> entries = enter(t);
            for (size_t word = 0; word < entries.size(); ++word) advance(word, t, entries[word], first_word(word, t, silence));
            silence += frames_.at(t, vocabulary_.blank);
        }
        collect_exits();
        return trace(silence);
    }

private:
    struct Token { double score = kNever; int64_t before = -1, start = 0; };  // before: the word before it
    struct Exit { double score; int64_t word, label; bool blank; };            // label: what a word that follows cannot begin with
    struct Boundary { int64_t before, word, start, end; };

    size_t words() const { return begin_.size() - 1; }
    Token& place(size_t word, int64_t label, bool blank) { return tokens_[size_t(2 * (begin_[word] + label) + blank)]; }
    int64_t length(size_t word) const { return begin_[word + 1] - begin_[word]; }
    int64_t label(size_t word, int64_t at) const { return label_[size_t(begin_[word] + at)]; }
    const Token& exit_token(const Exit& exit) { return place(size_t(exit.word), length(size_t(exit.word)) - 1, exit.blank); }

    double cost(int64_t state, int64_t number) const {
        return vocabulary_.language ? vocabulary_.weight * vocabulary_.language->after(state, number).cost : 0;
    }
    int64_t state(int64_t word) const { return state_.empty() ? 0 : state_[size_t(word)]; }
    int64_t number(size_t word) const { return vocabulary_.language ? vocabulary_.word[word] : 0; }

    // All tokens that stand at the end of a word, as a heap by their score.
    void collect_exits() {
        exits_.clear();
        for (size_t word = 0; word < words(); ++word)
            for (bool blank : {false, true}) {
                const int64_t last = length(word) - 1;
                const double score = place(word, last, blank).score;
                if (score > kNever) exits_.push_back({score, int64_t(word), blank ? -1 : label(word, last), blank});
            }
    }

    // The best token that enters each word now from another.
    std::vector<Token> enter(int64_t t) {
        std::vector<Token> entries(words());
        boundaries_of_.assign(2 * words(), -1);
        if (vocabulary_.language) sort_by_state();
        else std::sort(exits_.begin(), exits_.end(), [](const Exit& a, const Exit& b) { return a.score > b.score; });
        for (size_t word = 0; word < words(); ++word) {
            double best = kNever;
            const Exit* from = best_exit(word, best);
            if (from) entries[word] = {best + vocabulary_.bonus, boundary(*from, t), t};
        }
        return entries;
    }

    // Exits of one state of the language model lie together, the best first: all others of that state are worse for every word but for
    // those that begin with the label that ends them.
    void sort_by_state() {
        std::sort(exits_.begin(), exits_.end(), [&](const Exit& a, const Exit& b) {
            return state(a.word) != state(b.word) ? state(a.word) < state(b.word) : a.score > b.score;
        });
        groups_.clear();
        for (size_t at = 0; at < exits_.size(); ++at)
            if (!at || state(exits_[at].word) != state(exits_[at - 1].word)) groups_.push_back(at);
        std::sort(groups_.begin(), groups_.end(), [&](size_t a, size_t b) { return exits_[a].score > exits_[b].score; });
    }

    const Exit* best_exit(size_t word, double& best) const {
        const int64_t first = label(word, 0);
        if (!vocabulary_.language) {
            for (const Exit& exit : exits_)
                if (exit.label != first) return best = exit.score, &exit;
            return nullptr;
        }
        const Exit* found = nullptr;
        const double gain = vocabulary_.weight * vocabulary_.language->greatest();
        for (size_t group : groups_) {
            if (exits_[group].score + gain <= best) break;  // and so are all that follow
            size_t at = group;
            while (at < exits_.size() && exits_[at].label == first && state(exits_[at].word) == state(exits_[group].word)) ++at;
            if (at == exits_.size() || state(exits_[at].word) != state(exits_[group].word)) continue;
            const double score = exits_[at].score + cost(state(exits_[at].word), number(word));
            if (score > best) best = score, found = &exits_[at];
        }
        return found;
    }

    // The record of a word's end, made when the first other word follows it.
    int64_t boundary(const Exit& exit, int64_t t) {
        int64_t& known = boundaries_of_[size_t(2 * exit.word + exit.blank)];
        if (known < 0) {
            const Token& token = exit_token(exit);
            known = int64_t(boundaries_.size());
            boundaries_.push_back({token.before, exit.word, token.start, t});
        }
        return known;
    }

    // A sentence begins with this word, after silence alone.
    Token first_word(size_t word, int64_t t, double silence) const { return {silence + cost(start_, number(word)) + vocabulary_.bonus, -1, t}; }

    void advance(size_t word, int64_t t, const Token& entry, const Token& first) {
        const int64_t skipped = vocabulary_.separator >= 0;
        for (int64_t at = length(word) - 1; at >= 0; --at) {
            Token& blank = place(word, at, true);
            Token& here = place(word, at, false);
            if (here.score > blank.score) blank = here;
            blank.score += frames_.at(t, vocabulary_.blank);
            if (at) {
                const Token &quiet = place(word, at - 1, true), &before = place(word, at - 1, false);
                if (quiet.score > here.score) here = quiet;
                if (label(word, at) != label(word, at - 1) && before.score > here.score) here = before;
            } else if (entry.score > here.score) here = entry;
            if (at == skipped && first.score > here.score) here = first;
            here.score += frames_.at(t, label(word, at));
        }
    }

    Sentence trace(double silence) {
        Sentence found;
        const bool ends = vocabulary_.language && vocabulary_.last >= 0;
        found.score = silence + (ends ? cost(start_, vocabulary_.last) : 0);
        const Exit* best = nullptr;
        for (const Exit& exit : exits_) {
            const double score = exit.score + (ends ? cost(state(exit.word), vocabulary_.last) : 0);
            if (score > found.score) found.score = score, best = &exit;
        }
        if (!best) return found;
        const Token& token = exit_token(*best);
        boundaries_.push_back({token.before, best->word, token.start, frames_.time});
        for (int64_t at = int64_t(boundaries_.size()) - 1; at >= 0; at = boundaries_[size_t(at)].before) {
            const Boundary& each = boundaries_[size_t(at)];
            found.words.push_back(each.word), found.starts.push_back(each.start), found.ends.push_back(each.end);
        }
        for (Integers* each : {&found.words, &found.starts, &found.ends}) std::reverse(each->begin(), each->end());
        return found;
    }

    const Frames& frames_;
    const Vocabulary& vocabulary_;
    Integers begin_, label_, state_, boundaries_of_;
    int64_t start_ = 0;
    std::vector<Token> tokens_;
    std::vector<Exit> exits_;
    std::vector<size_t> groups_;
    std::vector<Boundary> boundaries_;
};

}  // namespace

Sentence pass_tokens(const Frames& frames, const Vocabulary& vocabulary) { return TokenPassing(frames, vocabulary).run(); }

}  // namespace carousel::decoding
