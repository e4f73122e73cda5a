// The door for single steps, and for whole sequences, without gradients.
#include <nanobind/stl/array.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <algorithm>
#include <iterator>
#include <stdexcept>
#include "asked.h"
#include "dispatch.h"
#include "tensors.h"

namespace carousel {

static const void* LayerStep::*const kPlaces[] = {
#define CAROUSEL_FIELD(name) &LayerStep::name,
    CAROUSEL_STREAMED(CAROUSEL_FIELD)};
#undef CAROUSEL_FIELD

// A parameter of a layer: its name in the module, its place here, and the shape that it must have.
struct Weight {
    nb::object name;
    const void* LayerStep::*place;
    Numbers shape;
};
using GivenWeight = std::tuple<std::string, int, Numbers>;
using GivenLayer = std::pair<std::array<int64_t, 3>, std::vector<GivenWeight>>;

static nb::object interned(const std::string& text) { return nb::steal(PyUnicode_InternFromString(text.c_str())); }

// A cell, or a stack of layers, as it is streamed: made once for a module, asked for every step.
class Stream {
public:
    Stream(const Numbers& encoded, const Numbers& state, const std::vector<GivenLayer>& layers, const std::pair<bool, bool>& form,
           const std::array<double, 2>& zoneout, int64_t most, const nb::tuple& torch)
        : torch_(torch_of(torch)), widths_(state), weights_(layers.size()), stacked_(form.first), most_(most) {
        step_.row = row(encoded);
        step_.compiled = compiled(step_.row);
        step_.residual = form.second;
        step_.zoneout_hidden = zoneout[0], step_.zoneout_cell = zoneout[1];
        step_.count = int(layers.size());
        plain_ = stacked_ && step_.row.norm == Norm::none && !step_.residual;
        if (layers.empty() || widths_.size() < 2 || widths_.size() > kStates) throw std::invalid_argument("a stream has layers, and two or three states");
        for (size_t at = 0; at < layers.size(); ++at) add(layers[at], weights_[at]);
    }

    // The state after the step, for a stack beside its outputs; None where something has to take the way of all others.
    nb::object step(nb::handle x, nb::handle state, nb::handle parameters, bool batch_first) const {
        Tensors tensors(torch_);
        Step step = step_;
        std::vector<LayerStep> layers = layers_;
        step.layers = layers.data();
        Numbers shape;
        std::vector<nb::object> before;
        if (!inputs(tensors, x, batch_first, step, shape) || !states(tensors, state, step, shape, before) || !read(tensors, parameters, layers))
            return nb::none();
        nb::list after;
        for (size_t at = 0; at < widths_.size(); ++at) after.append(torch_.empty_like(before[at]));
        const nb::object outputs = stacked_ ? outputs_like(before[0], step, batch_first) : nb::none();
        if (!place(tensors, nb::tuple(after), outputs, step)) return nb::none();
        {
            nb::gil_scoped_release free;
            chosen().stream[tensors.kind()](step);
        }
        return stacked_ ? nb::object(nb::make_tuple(outputs, nb::tuple(after))) : nb::object(nb::tuple(after));
    }

    // Outputs and the last state of a stack for x of any length, the loops' way; a state of None is zeros. None where the long way has to be taken.
    nb::object sequences(nb::handle x, nb::handle state, nb::handle parameters, bool batch_first, int threads) const {
        Tensors tensors(torch_);
        Seen seen;
        std::vector<LayerStep> layers = layers_;
        if (!plain_ || !tensors.look_at_given(x, seen) || seen.ndim != 3 || seen.shape[2] != layers_[0].inputs || layers_[0].inputs == 0) return nb::none();
        Call call{};
        call.row = step_.row, call.compiled = step_.compiled, call.threads = threads;
        call.time = seen.shape[batch_first], call.batch = seen.shape[!batch_first];
        call.x = tensors.rows(seen);
        call.x_stride = {stride(seen, batch_first), stride(seen, !batch_first)};
        Step step = step_;
        Numbers shape{step.count, call.batch};
        std::vector<nb::object> before;
        if (!call.x || !call.time || !call.batch || tensors.kind() < 0 || !read(tensors, parameters, layers)) return nb::none();
        if (!state.is_none() && !states(tensors, state, step, shape, before)) return nb::none();
        nb::list after;
        for (const int64_t width : widths_) after.append(empty(x, step.count, call.batch, width));
        const std::array<nb::object, 2> masks{stays(x, step.zoneout_hidden, kHidden), stays(x, step.zoneout_cell, kCell)};
        if (!mask(tensors, masks[0], call.zoneout_hidden) || !mask(tensors, masks[1], call.zoneout_cell)) return nb::none();
        std::vector<nb::object> outputs;
        for (const LayerStep& layer : layers) outputs.push_back(empty(x, call.time, call.batch, layer.output));
        if (!place(tensors, nb::tuple(after), outputs.back(), step) || !run(tensors, call, step, layers, outputs)) return nb::none();
        return nb::make_tuple(batch_first ? outputs.back().attr("transpose")(0, 1) : outputs.back(), nb::tuple(after));
    }

    // This stack over labels and the joint network above it, W_p, and W and its bias or None, as searches ask them: a capsule; None where
    // they cannot be read so.
    nb::object networks(nb::handle parameters, const std::array<nb::object, 3>& joint, int64_t blank) const {
        Tensors tensors(torch_);
        Asked asked{step_, layers_, widths_, blank};
        Seen of_labels;
        const int64_t features = layers_.back().output, symbols = layers_[0].inputs + 1;
        if (!stacked_ || blank < 0 || blank >= symbols || !read(tensors, parameters, asked.layers)) return nb::none();
        if (!tensors.look_at_given(joint[0], of_labels) || of_labels.ndim != 2 || of_labels.shape[1] != features) return nb::none();
        const int64_t width = of_labels.shape[0], shape[] = {symbols, width};
        asked.joint = {features, width, symbols, tensors.memory(of_labels)};
        if (joint[1].is_none()) {
            if (width != symbols) return nb::none();
        } else {
            asked.joint.output = tensors.memory(joint[1], shape, 2), asked.joint.bias = tensors.memory(joint[2], shape, 1);
            if (!asked.joint.output || !asked.joint.bias) return nb::none();
        }
        if (!asked.joint.of_labels || tensors.kind() < 0) return nb::none();
        return capsule_of(std::move(asked), tensors);
    }

private:
    Torch torch_;
    Step step_;
    bool plain_ = true;  // no layer has what is computed outside of the loops
    Numbers widths_;  // of each tensor of the state
    std::vector<LayerStep> layers_;
    std::vector<std::vector<Weight>> weights_;
    bool stacked_;
    int64_t most_;  // sequences

    void add(const GivenLayer& given, std::vector<Weight>& weights) {
        LayerStep layer;
        layer.inputs = given.first[0], layer.hidden = given.first[1], layer.output = given.first[2];
        layers_.push_back(layer);
        for (const auto& [name, place, shape] : given.second) {
            if (place < 0 || place >= int(std::size(kPlaces))) throw std::invalid_argument("no weight has the place " + std::to_string(place));
            weights.push_back({interned(name), kPlaces[place], shape});
        }
    }
    // Leaves in `shape` what the states must have before their units.
    bool inputs(Tensors& tensors, nb::handle x, bool batch_first, Step& step, Numbers& shape) const {
        Seen seen;
        if (!tensors.look_at_given(x, seen) || seen.ndim < 1 || seen.shape[seen.ndim - 1] != layers_[0].inputs || !(step.x = tensors.memory(seen))) return false;
        if (stacked_ ? seen.ndim != 3 || seen.shape[batch_first] != 1 : seen.ndim > 2) return false;
        step.batch = stacked_ ? seen.shape[!batch_first] : seen.ndim == 2 ? seen.shape[0] : 1;
        if (stacked_) shape.push_back(step.count);
        if (seen.ndim > 1) shape.push_back(step.batch);
        return tensors.kind() >= 0 && step.batch >= 1 && step.batch <= most_;
    }
    bool states(Tensors& tensors, nb::handle state, Step& step, Numbers& shape, std::vector<nb::object>& before) const {
        if (!(PyTuple_Check(state.ptr()) || PyList_Check(state.ptr())) || nb::len(state) != widths_.size()) return false;
        shape.push_back(0);
        for (size_t at = 0; at < widths_.size(); ++at) {
            before.push_back(nb::steal(PySequence_GetItem(state.ptr(), Py_ssize_t(at))));
            shape.back() = widths_[at];
            if (!(step.before[at] = tensors.memory(before[at], shape.data(), shape.size()))) return false;
        }
        return true;
    }
    bool read(Tensors& tensors, nb::handle parameters, std::vector<LayerStep>& layers) const {
        if (!PyDict_Check(parameters.ptr())) return false;
        for (size_t at = 0; at < layers.size(); ++at)
            for (const Weight& weight : weights_[at]) {
                const nb::handle found = PyDict_GetItemWithError(parameters.ptr(), weight.name.ptr());
                if (!found || !(layers[at].*weight.place = tensors.memory(found, weight.shape.data(), weight.shape.size()))) return false;
            }
        return true;
    }
    static int64_t stride(const Seen& of, int axis) {
        if (of.shape[axis] == 1) return 0;
        if (of.strides) return of.strides[axis];
        int64_t dense = 1;
        for (int after = axis + 1; after < of.ndim; ++after) dense *= of.shape[after];
        return dense;
    }
    static nb::object empty(nb::handle like, int64_t first, int64_t batch, int64_t width) { return like.attr("new_empty")(nb::make_tuple(first, batch, width)); }
    // One row for all steps and sequences: how much of the old state stays; None where nothing does.
    nb::object stays(nb::handle like, double part, StateName name) const {
        return part == 0 ? nb::object(nb::none()) : like.attr("new_full")(nb::make_tuple(1, 1, widths_[name]), part);
    }
    static bool mask(Tensors& tensors, const nb::object& given, void*& to) {
        Seen seen;
        return given.is_none() || (tensors.look(given, seen) && (to = tensors.memory(seen)));
    }
    // All layers, each fed by the one before.
    bool run(Tensors& tensors, Call call, const Step& step, const std::vector<LayerStep>& layers, const std::vector<nb::object>& outputs) const {
        std::vector<Call> calls;
        const size_t bytes = tensors.kind() ? sizeof(double) : sizeof(float);
        for (size_t at = 0; at < layers.size(); ++at) {
            Seen made;
            call.inputs = layers[at].inputs, call.hidden = layers[at].hidden, call.output = layers[at].output;
            weigh(call, layers[at]);
            const auto part = [&](const void* whole, StateName name) {
                return whole ? static_cast<char*>(const_cast<void*>(whole)) + at * size_t(call.batch) * size_t(widths_[name]) * bytes : nullptr;
            };
            call.initial_hidden = part(step.before[kHidden], kHidden), call.initial_cell = part(step.before[kCell], kCell);
            call.last_hidden = part(step.after[kHidden], kHidden), call.last_cell = part(step.after[kCell], kCell);
            if (widths_.size() > kSent) call.initial_gates = part(step.before[kSent], kSent), call.last_gates = part(step.after[kSent], kSent);
            if (!tensors.look(outputs[at], made) || !(call.outputs = tensors.memory(made))) return false;
            calls.push_back(call);
            call.x = call.outputs, call.x_stride = {call.batch * call.output, call.output};
        }
        nb::gil_scoped_release free;
        for (const Call& each : calls) chosen().forward[tensors.kind()](each);
        return true;
    }
    static void weigh(Call& call, const LayerStep& layer) {
        const auto memory = [](const void* of) { return const_cast<void*>(of); };
        call.W = memory(layer.W), call.R = memory(layer.R), call.b = memory(layer.b), call.b_recurrent = memory(layer.b_recurrent);
        call.P = memory(layer.P), call.p = memory(layer.p), call.G = memory(layer.G);
    }
    nb::object outputs_like(const nb::object& h, const Step& step, bool batch_first) const {
        if (step.count == 1 && !batch_first) return torch_.empty_like(h);
        const int64_t time = 1, width = layers_.back().output;
        return h.attr("new_empty")(batch_first ? nb::make_tuple(step.batch, time, width) : nb::make_tuple(time, step.batch, width));
    }
    bool place(Tensors& tensors, const nb::tuple& after, const nb::object& outputs, Step& step) const {
        Seen seen;
        for (size_t at = 0; at < widths_.size(); ++at)
            if (!tensors.look(nb::object(after[at]), seen) || !(step.after[at] = tensors.memory(seen))) return false;
        return !stacked_ || (tensors.look(outputs, seen) && (step.outputs = tensors.memory(seen)));
    }
};

void bind_stream(nb::module_& module) {
    std::vector<std::string> roles;
#define CAROUSEL_FIELD(name) roles.emplace_back(#name);
    CAROUSEL_STREAMED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    module.attr("STREAMED") = nb::tuple(nb::cast(roles));
    nb::class_<Stream>(module, "Stream")
        .def(nb::init<const Numbers&, const Numbers&, const std::vector<GivenLayer>&, const std::pair<bool, bool>&, const std::array<double, 2>&,
                      int64_t, const nb::tuple&>())
        .def("step", &Stream::step, nb::arg("x").none(), nb::arg("state").none(), nb::arg("parameters").none(), nb::arg("batch_first"))
        .def("sequences", &Stream::sequences, nb::arg("x").none(), nb::arg("state").none(), nb::arg("parameters").none(), nb::arg("batch_first"),
             nb::arg("threads"))
        .def("networks", &Stream::networks, nb::arg("parameters"), nb::arg("joint"), nb::arg("blank"));
}

}  // namespace carousel
