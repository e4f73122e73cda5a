// A transducer's two networks, as the kernels hand them to a search: functions and sizes, nothing that either extension shares.
#pragma once
#include <cstdint>

namespace carousel {

inline constexpr const char* kNetworks = "carousel.networks.1";  // of the capsule; another number for another layout

struct Networks {
    int64_t symbols, blank;
    int64_t frame;        // numbers of a frame, W_l l_t + b
    int64_t number;       // bytes of each
    int64_t state, said;  // bytes of the prediction network's state, and of what it says: memory of the search
    // What the prediction network says after one label more; label -1 and a state of null begin. Any threads may ask at once.
    void (*predict)(const Networks& of, int64_t label, const void* before, void* after, void* said);
    // Log-probabilities (count, symbols) of a frame after so many label sequences, of each what was said.
    void (*join)(const Networks& of, const void* frame, const void* const* said, int64_t count, double* log_probs);
};

}  // namespace carousel
