// The door for learning online: one call takes the steps of a stream, whatever their number.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <iterator>
#include <stdexcept>
#include "bindings.h"
#include "dispatch.h"

namespace carousel {

static const char* const kTensors[] = {
#define CAROUSEL_NAME(name) #name,
    CAROUSEL_ONLINE_TENSORS(CAROUSEL_NAME)};
static const char* const kStrided[] = {CAROUSEL_ONLINE_STRIDED(CAROUSEL_NAME)};
static const char* const kSizes[] = {CAROUSEL_ONLINE_SIZES(CAROUSEL_NAME)};
#undef CAROUSEL_NAME

static OnlineCall call_of(const Numbers& cell, const Numbers& sizes, const Numbers& pointers, const Numbers& strides, int threads) {
    if (sizes.size() != std::size(kSizes) || pointers.size() != std::size(kTensors) || strides.size() != 2 * std::size(kStrided))
        throw std::invalid_argument("learning online takes one number for each of ONLINE_SIZES and ONLINE_POINTERS and two for each of ONLINE_STRIDED");
    OnlineCall call;
    call.row = row(cell);
    call.threads = threads;
    size_t at = 0;
#define CAROUSEL_FIELD(name) call.name##_size = sizes[at++];
    CAROUSEL_ONLINE_SIZES(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    at = 0;
#define CAROUSEL_FIELD(name) call.name = reinterpret_cast<void*>(pointers[at++]);
    CAROUSEL_ONLINE_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    at = 0;
#define CAROUSEL_FIELD(name) call.name##_stride = {strides[at], strides[at + 1]}, at += 2;
    CAROUSEL_ONLINE_STRIDED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    return call;
}

template <size_t count> static nb::tuple names(const char* const (&from)[count]) {
    return nb::tuple(nb::cast(std::vector<std::string>(std::begin(from), std::end(from))));
}

void bind_online(nb::module_& module) {
    module.attr("ONLINE_POINTERS") = names(kTensors);
    module.attr("ONLINE_STRIDED") = names(kStrided);
    module.attr("ONLINE_SIZES") = names(kSizes);
    module.def("online_width", [] { return kNets; });
    module.def("online", [](const Numbers& cell, const Numbers& sizes, const Numbers& pointers, const Numbers& strides, int threads) {
        const OnlineCall call = call_of(cell, sizes, pointers, strides, threads);
        nb::gil_scoped_release free;
        chosen().online(call);
    });
}

}  // namespace carousel
