// The lattice of a transducer: every way to emit the labels, summed forwards and backwards (Graves 2012), and the door to it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <stdexcept>
#include "bindings.h"
#include "dispatch.h"
#include "threads.h"

namespace carousel {
namespace {

const char* const kTensors[] = {
#define CAROUSEL_NAME(name) #name,
    CAROUSEL_TRANSDUCER_TENSORS(CAROUSEL_NAME)};
const char* const kSizes[] = {CAROUSEL_TRANSDUCER_SIZES(CAROUSEL_NAME)};
#undef CAROUSEL_NAME

constexpr double kNever = -std::numeric_limits<double>::infinity();

// log(exp a + exp b)
double log_add(double a, double b) {
    const double most = a > b ? a : b, least = a > b ? b : a;
    return least == kNever ? most : most + std::log1p(std::exp(least - most));
}

// One sequence. alpha(t, u): u labels are out before frame t ends or emits more; beta(t, u): all that remains from there.
template <class T> class Lattice {
public:
    Lattice(const TransducerCall& call, int64_t sequence)
        : call_(call), sequence_(sequence), frames_(static_cast<const int64_t*>(call.frames)[sequence]),
          width_(static_cast<const int64_t*>(call.counts)[sequence] + 1),
          alpha_(static_cast<double*>(call.scratch) + 2 * sequence * call.time * call.positions), beta_(alpha_ + call.time * call.positions) {}

    void run() {
        sum_forwards();
        const double total = alpha(frames_ - 1, width_ - 1) + blank(frames_ - 1, width_ - 1);
        static_cast<double*>(call_.loss)[sequence_] = -total;
        if (!call_.grad_blank) return;
        sum_backwards();
        differentiate(total);
    }

private:
    double& alpha(int64_t t, int64_t u) { return alpha_[t * width_ + u]; }
    double& beta(int64_t t, int64_t u) { return beta_[t * width_ + u]; }
    T* row(void* tensor, int64_t t, int64_t width) const { return static_cast<T*>(tensor) + (sequence_ * call_.time + t) * width; }
    double blank(int64_t t, int64_t u) const { return row(call_.log_blank, t, call_.positions)[u]; }
    double label(int64_t t, int64_t u) const { return row(call_.log_label, t, call_.positions - 1)[u]; }

    void sum_forwards() {
        for (int64_t t = 0; t < frames_; ++t)
            for (int64_t u = 0; u < width_; ++u) {
                const double waited = t ? alpha(t - 1, u) + blank(t - 1, u) : u ? kNever : 0;
                alpha(t, u) = u ? log_add(waited, alpha(t, u - 1) + label(t, u - 1)) : waited;
            }
    }

    // What waiting at a place leads to: the next frame, or the end.
    double after_blank(int64_t t, int64_t u) { return t + 1 < frames_ ? beta(t + 1, u) : u + 1 == width_ ? 0 : kNever; }

    void sum_backwards() {
        for (int64_t t = frames_; t-- > 0;)
            for (int64_t u = width_; u-- > 0;) {
                const double waited = blank(t, u) + after_blank(t, u);
                beta(t, u) = u + 1 < width_ ? log_add(waited, label(t, u) + beta(t, u + 1)) : waited;
            }
    }

    // Of the loss by a log-probability: minus the share of all ways that pass there.
    void differentiate(double total) {
        for (int64_t t = 0; t < frames_; ++t) {
            T* by_blank = row(call_.grad_blank, t, call_.positions);
            T* by_label = row(call_.grad_label, t, call_.positions - 1);
            for (int64_t u = 0; u < width_; ++u) {
                const double here = alpha(t, u) - total;
                by_blank[u] = T(-std::exp(here + blank(t, u) + after_blank(t, u)));
                if (u + 1 < width_) by_label[u] = T(-std::exp(here + label(t, u) + beta(t, u + 1)));
            }
        }
    }

    const TransducerCall& call_;
    const int64_t sequence_, frames_, width_;
    double *alpha_, *beta_;
};

template <class T> void lattices(void* context, int part, int parts) {
    const TransducerCall& call = *static_cast<const TransducerCall*>(context);
    for (int64_t sequence = part; sequence < call.batch; sequence += parts) Lattice<T>(call, sequence).run();
}

TransducerCall call_of(const Numbers& sizes, const Numbers& pointers, int threads) {
    if (sizes.size() != std::size(kSizes) || pointers.size() != std::size(kTensors))
        throw std::invalid_argument("a transducer takes one number for each of TRANSDUCER_SIZES and TRANSDUCER_POINTERS");
    TransducerCall call;
    call.threads = threads;
    size_t at = 0;
#define CAROUSEL_FIELD(name) call.name = sizes[at++];
    CAROUSEL_TRANSDUCER_SIZES(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    at = 0;
#define CAROUSEL_FIELD(name) call.name = reinterpret_cast<void*>(pointers[at++]);
    CAROUSEL_TRANSDUCER_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    return call;
}

int checked(int kind) {
    if (kind < 0 || kind >= kKinds) throw std::invalid_argument("kind is 0 (float) or 1 (double)");
    return kind;
}

template <size_t count> nb::tuple names(const char* const (&from)[count]) {
    return nb::tuple(nb::cast(std::vector<std::string>(std::begin(from), std::end(from))));
}

}  // namespace

void bind_transducer(nb::module_& module) {
    module.attr("TRANSDUCER_POINTERS") = names(kTensors);
    module.attr("TRANSDUCER_SIZES") = names(kSizes);
    module.def("transducer_emissions", [](int kind, const Numbers& sizes, const Numbers& pointers, int threads) {
        const TransducerCall call = call_of(sizes, pointers, threads);
        const auto run = chosen().emissions[checked(kind)];
        nb::gil_scoped_release free;
        run(call);
    });
    module.def("transducer_emissions_backward", [](int kind, const Numbers& sizes, const Numbers& pointers, int threads) {
        const TransducerCall call = call_of(sizes, pointers, threads);
        const auto run = chosen().emissions_backward[checked(kind)];
        nb::gil_scoped_release free;
        run(call);
    });
    module.def("transducer_lattice", [](int kind, const Numbers& sizes, const Numbers& pointers, int threads) {
        TransducerCall call = call_of(sizes, pointers, threads);
        const Body body = checked(kind) ? lattices<double> : lattices<float>;
        nb::gil_scoped_release free;
        parallel(int(std::min<int64_t>(call.batch, threads)), body, &call);
    });
}

}  // namespace carousel
