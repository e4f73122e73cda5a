#include <algorithm>
#include "words.h"

namespace carousel::decoding {
namespace {

// Places of a labelling with blanks around each label: even ones are blank.
class Alignment {
public:
    Alignment(const Frames& frames, const Integers& labels, int64_t blank)
        : frames_(frames), labels_(labels), blank_(blank), places_(2 * int64_t(labels.size()) + 1), score_(size_t(places_), kNever),
          back_(size_t(frames.time * places_), 0) {}

    Aligned run() {
        Aligned found;
        if (!frames_.time) {
            if (labels_.empty()) found.score = 0;
            return found;
        }
        score_[0] = frames_.at(0, blank_);
        if (places_ > 1) score_[1] = frames_.at(0, labels_[0]);
        for (int64_t t = 1; t < frames_.time; ++t) step(t);
        int64_t place = places_ - 1;
        if (place && score_[size_t(place - 1)] > score_[size_t(place)]) --place;
        found.score = score_[size_t(place)];
        if (found.score > kNever) trace(place, found);
        return found;
    }

private:
    int64_t symbol(int64_t place) const { return place % 2 ? labels_[size_t(place / 2)] : blank_; }

    void step(int64_t t) {
        for (int64_t place = places_ - 1; place >= 0; --place) {
            int64_t by = 0;
            double best = score_[size_t(place)];
            if (place && score_[size_t(place - 1)] > best) best = score_[size_t(place - 1)], by = 1;
            const bool skips = place % 2 && place > 1 && symbol(place) != symbol(place - 2);
            if (skips && score_[size_t(place - 2)] > best) best = score_[size_t(place - 2)], by = 2;
            score_[size_t(place)] = best + frames_.at(t, symbol(place));
            back_[size_t(t * places_ + place)] = char(by);
        }
    }

    void trace(int64_t place, Aligned& found) const {
        const size_t labels = labels_.size();
        found.starts.assign(labels, 0), found.ends.assign(labels, 0), found.peaks.assign(labels, kNever);
        for (int64_t t = frames_.time - 1; t >= 0; --t) {
            if (place % 2) {
                const size_t at = size_t(place / 2);
                found.starts[at] = t;
                if (!found.ends[at]) found.ends[at] = t + 1;
                found.peaks[at] = std::max(found.peaks[at], frames_.at(t, labels_[at]));
            }
            place -= back_[size_t(t * places_ + place)];
        }
    }

    const Frames& frames_;
    const Integers& labels_;
    const int64_t blank_, places_;
    Reals score_;
    std::vector<char> back_;
};

}  // namespace

Aligned align(const Frames& frames, const Integers& labels, int64_t blank) { return Alignment(frames, labels, blank).run(); }

}  // namespace carousel::decoding
