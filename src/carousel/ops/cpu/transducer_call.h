// What Python hands over for the loss of a transducer, whose lattice has a place for each frame and each position between labels.
#pragma once
#include <cstdint>

namespace carousel {

// Names and order of all tensors of a call, dense. Positions are one more than labels. `scores` are (batch, time, positions,
// symbols), or (batch, time, symbols) where `prediction` (batch, positions, symbols) is added to them; labels (batch, positions - 1),
// frames and counts (batch), all int64; log_blank and normalizer (batch, time, positions); log_label (batch, time, positions - 1);
// loss (batch) and scratch (batch, 2, time, positions), double; each gradient has the shape of what it is of.
#define CAROUSEL_TRANSDUCER_TENSORS(X) \
    X(scores) X(prediction) X(labels) X(frames) X(counts) X(log_blank) X(log_label) X(normalizer) X(loss) X(scratch) \
    X(grad_blank) X(grad_label) X(grad_scores) X(grad_prediction)

#define CAROUSEL_TRANSDUCER_SIZES(X) X(batch) X(time) X(positions) X(symbols) X(blank)

struct TransducerCall {
#define CAROUSEL_FIELD(name) int64_t name = 0;
    CAROUSEL_TRANSDUCER_SIZES(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
#define CAROUSEL_FIELD(name) void* name = nullptr;
    CAROUSEL_TRANSDUCER_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    int threads = 1;
};

}  // namespace carousel
