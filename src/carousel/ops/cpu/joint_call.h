// What a transducer's joint network is asked, as it comes from a search: memory and sizes.
#pragma once
#include <cstdint>

namespace carousel {

// y = W_l l_t + W_p p_u + b (Graves 2012), or y = W tanh(W_l l_t + W_p p_u + b) (Graves et al. 2013), and its log softmax. A frame is
// W_l l_t + b. All is dense: of_labels W_p (width, features), output W (symbols, width) with its bias (symbols), or null; each of
// `said` (width).
struct JointCall {
    int64_t features = 0, width = 0, symbols = 0;
    const void *of_labels = nullptr, *output = nullptr, *bias = nullptr;
    const void* prediction = nullptr;  // p_u of one label sequence, and where W_p p_u goes
    void* said = nullptr;
    const void* frame = nullptr;  // one frame, W_p p_u of `count` label sequences, and where log-probabilities (count, symbols) go
    const void* const* heard = nullptr;
    int64_t count = 0;
    double* log_probs = nullptr;
};

}  // namespace carousel
