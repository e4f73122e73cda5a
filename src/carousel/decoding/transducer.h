// The decoders of a transducer: the likeliest label at each step, and the beam search of Graves 2012.
#pragma once
#include <cstddef>
#include <memory>
#include "../ops/cpu/networks.h"
#include "tree.h"

namespace carousel::decoding {

struct TransducerSettings {
    int64_t symbols, blank, beam, most;         // most: labels that one frame may add
    double weight, bonus;                       // of the language model; for each label
    bool normalized;                            // whether the last hypotheses are ranked by score a label
    std::shared_ptr<const Automaton> language;  // may be null
    Integers word;                              // its number of each label
    int64_t begin;                              // and of what stands before the first
};

// Memory for what the prediction network says after label sequences, and for its states.
class Memories {
public:
    explicit Memories(const Networks& networks)
        : said_at_((size_t(networks.state) + kAligned - 1) / kAligned * kAligned), size_(said_at_ + size_t(networks.said)) {}

    int64_t take();
    void give_back(int64_t at) { free_.push_back(at); }
    void* state(int64_t at) const { return all_[size_t(at)].get(); }
    void* said(int64_t at) const { return all_[size_t(at)].get() + said_at_; }

private:
    static constexpr size_t kAligned = alignof(std::max_align_t);

    size_t said_at_, size_;
    std::vector<std::unique_ptr<std::byte[]>> all_;
    Integers free_;
};

// Where a label was emitted on a hypothesis's likeliest way.
struct Emission {
    int64_t before = -1;  // the one before it
    int64_t time = 0;
    double cost = 0;
};

// A search goes from frame to frame, and reports what it holds.
class TransducerSearch {
public:
    virtual ~TransducerSearch() = default;
    // Takes the next frames, (frames, numbers) as the networks read them. Throws std::domain_error where these say NaN.
    void push(const void* frames, int64_t count);
    // The best of what is held now, the best first.
    virtual std::vector<Found> best(int64_t count) const = 0;
    // How many first labels all that is held have in common: they will not change any more.
    virtual int64_t stable() const = 0;
    const Networks& networks() const { return networks_; }

protected:
    explicit TransducerSearch(const Networks& networks) : networks_(networks), memories_(networks) {}
    virtual void step(const void* frame) = 0;
    // Asks for log-probabilities after so many label sequences, by where they are remembered.
    void join(const void* frame, const Integers& memories, double* log_probs);
    Found report(Integers labels, int64_t emission, double acoustic, double score) const;

    const Networks& networks_;
    Memories memories_;
    Chains<Emission> emissions_;
    int64_t time_ = 0;
};

class TransducerGreedySearch final : public TransducerSearch {
public:
    TransducerGreedySearch(int64_t most, const Networks& networks);
    std::vector<Found> best(int64_t count) const override;
    int64_t stable() const override { return int64_t(labels_.size()); }

private:
    void step(const void* frame) override;
    void emit(int64_t label, double cost);

    const int64_t most_;
    Integers labels_;
    int64_t memory_, emission_ = -1;
    double total_ = 0;
    Reals costs_;
};

class TransducerBeamSearch final : public TransducerSearch {
public:
    // least: so many label sequences may be remembered before those that no longer matter are forgotten.
    TransducerBeamSearch(std::shared_ptr<const TransducerSettings> settings, const Networks& networks, int64_t least);
    std::vector<Found> best(int64_t count) const override;
    int64_t stable() const override { return prefixes_.common(held_); }

private:
    struct Prefix : Branch {
        int64_t state = 0;           // of the language model
        int64_t memory = -1;         // of the prediction network
        int64_t heard = 0, row = 0;  // the round in which its log-probabilities were asked, and where they are
        int64_t wanted = 0;          // the round after which its memory was wanted
    };
    struct Reading {
        int64_t prefix = 0;
        double total = 0, best = 0;  // over all ways to emit the labels that the beam held, and of the likeliest one
        double language = 0;
        int64_t emission = -1;
        double score() const { return total + language; }
    };
    // A hypothesis that may still be extended in this frame; with a label, that one behind the reading's prefix and not yet made.
    struct Growing {
        double cost;
        int64_t label, emitted;
        Reading reading;
    };

    void step(const void* frame) override;
    void hear();
    Reading merged(const Reading& reading);
    void merge(const Reading& from, const Integers& path, size_t size, Reading& into);
    void extend();
    void offer(const Reading& reading, int64_t emitted);
    double gain(const Prefix& prefix, int64_t label) const;
    void go_on(Reading reading, double blank);
    bool is_over(double cost) const;
    Reading made(const Growing& growing);
    void select();
    void forget();
    void predict(int64_t prefix);
    const double* costs(int64_t prefix);
    int64_t child(int64_t parent, int64_t label);
    Integers labels_of(const Growing& growing) const;
    double rank(const Reading& reading) const;

    const std::shared_ptr<const TransducerSettings> settings_;
    Tree<Prefix> prefixes_;
    std::vector<Reading> held_, gone_;  // gone: on to the next frame
    std::vector<Growing> growing_;      // a heap
    Integers entry_of_;                 // by prefix: where it is held, or -1
    Integers remembered_;               // prefixes that have a memory
    Reals costs_;                       // of this frame: rows of log-probabilities
    Reals bound_;                       // a heap of the least costs that are gone on, as many as the beam
    int64_t round_ = 0;                 // counts frames, also those that failed
    const void* frame_ = nullptr;
    size_t least_, crowd_;
};

}  // namespace carousel::decoding
