// A transducer's networks for searches in compiled code, with the tensors that their weights lie in.
#pragma once
#include "networks.h"
#include "tensors.h"

namespace carousel {

struct Asked {
    Step step;  // of one sequence: its layers lie below
    std::vector<LayerStep> layers;
    Numbers widths;  // of each tensor of the state
    int64_t blank = 0;
    JointCall joint{};
};

// The capsule holds the tensors as long as it lives.
nb::object capsule_of(Asked asked, const Tensors& tensors);

}  // namespace carousel
