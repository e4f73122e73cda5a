// Tensors that come as Python objects: what they are and where they lie is asked through torch's own table of DLPack functions, which
// is many times faster than asking in Python. What is not plainly right is refused.
#pragma once
#include <nanobind/ndarray.h>
#include <algorithm>
#include <stdexcept>
#include <vector>
#include "bindings.h"

namespace carousel {

using Seen = nb::dlpack::dltensor;

// DLPackExchangeAPI of dlpack.h, major version 1.
struct Exchange {
    uint32_t major, minor;
    void *earlier, *allocate, *from_python, *to_python;
    int (*look)(void* tensor, Seen* to);  // borrows everything; 0 if it could
};

// What of torch a step needs: its table, the types that are plain tensors, whether one is to be read negated, and how memory is made.
struct Torch {
    const Exchange* exchange;
    nb::object tensor, parameter, is_neg, empty_like;
};

inline Torch torch_of(const nb::tuple& given) {
    const auto* exchange = static_cast<const Exchange*>(PyCapsule_GetPointer(nb::object(given[0]).ptr(), "dlpack_exchange_api"));
    if (!exchange) throw nb::python_error();
    if (exchange->major != 1 || !exchange->look) throw std::invalid_argument("torch's table of DLPack functions is of a version that is not known here");
    return {exchange, given[1], given[2], given[3], given[4]};
}

// The tensors of one call: looked at, held until it is done, all of one dtype.
class Tensors {
public:
    explicit Tensors(const Torch& from) : torch(from) { held.reserve(32); }

    bool look(nb::handle object, Seen& to) {
        const auto* type = reinterpret_cast<const PyObject*>(Py_TYPE(object.ptr()));
        if (type != torch.tensor.ptr() && type != torch.parameter.ptr()) return false;
        if (torch.exchange->look(object.ptr(), &to)) return PyErr_Clear(), false;
        held.push_back(nb::borrow(object));
        return true;
    }
    // The same for what others made, which may lie there negated.
    bool look_at_given(nb::handle object, Seen& to) { return look(object, to) && torch.is_neg(object).is(Py_False); }
    // Where it lies, or null unless it is dense, on the processor, and of the dtype of those before.
    void* memory(const Seen& of) {
        if (!bits) bits = of.dtype.bits;
        const bool number = of.dtype.code == uint8_t(nb::dlpack::dtype_code::Float) && of.dtype.bits == bits && of.dtype.lanes == 1;
        return number && of.device.device_type == nb::device::cpu::value && dense(of) ? static_cast<char*>(of.data) + of.byte_offset : nullptr;
    }
    // The same where only the numbers of each row lie side by side.
    void* rows(const Seen& of) {
        Seen row = of;
        row.shape += of.ndim - 1, row.strides += of.strides ? of.ndim - 1 : 0, row.ndim = 1;
        return memory(row);
    }
    // The same if it has this shape.
    void* memory(nb::handle object, const int64_t* shape, size_t axes) {
        Seen seen;
        return look_at_given(object, seen) && seen.ndim == int(axes) && std::equal(shape, shape + axes, seen.shape) ? memory(seen) : nullptr;
    }
    int kind() const { return bits == 32 ? 0 : bits == 64 ? 1 : -1; }
    // All that was looked at, for who needs it longer.
    std::vector<nb::object> kept() const { return held; }

private:
    const Torch& torch;
    std::vector<nb::object> held;
    uint8_t bits = 0;

    static bool dense(const Seen& of) {
        int64_t stride = 1;
        for (int axis = of.ndim - 1; of.strides && axis >= 0; stride *= of.shape[axis--])
            if (of.shape[axis] != 1 && of.strides[axis] != stride) return false;
        return true;
    }
};

}  // namespace carousel
