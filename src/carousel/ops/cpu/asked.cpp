#include "asked.h"
#include "dispatch.h"

namespace carousel {
namespace {

struct Held : Networks {
    Asked asked;
    int kind;
    std::vector<nb::object> tensors;
};

const Held& held_of(const Networks& of) { return static_cast<const Held&>(of); }

template <class T> void predict(const Networks& of, int64_t label, const void* before, void* after, void* said) {
    const Held& own = held_of(of);
    Step step = own.asked.step;
    JointCall joint = own.asked.joint;
    std::vector<T> x(size_t(joint.symbols - 1)), outputs(size_t(joint.features)), zeros(before ? 0 : size_t(of.state) / sizeof(T));
    if (label >= 0) x[size_t(label - (label > of.blank))] = 1;
    const T* from = before ? static_cast<const T*>(before) : zeros.data();
    T* to = static_cast<T*>(after);
    for (size_t at = 0; at < own.asked.widths.size(); ++at) {
        step.before[at] = from, step.after[at] = to;
        from += own.asked.widths[at] * step.count, to += own.asked.widths[at] * step.count;
    }
    step.layers = own.asked.layers.data(), step.batch = 1, step.x = x.data(), step.outputs = outputs.data();
    chosen().stream[own.kind](step);
    joint.prediction = outputs.data(), joint.said = said;
    chosen().relate[own.kind](joint);
}

void join(const Networks& of, const void* frame, const void* const* said, int64_t count, double* log_probs) {
    const Held& own = held_of(of);
    JointCall joint = own.asked.joint;
    joint.frame = frame, joint.heard = said, joint.count = count, joint.log_probs = log_probs;
    chosen().join[own.kind](joint);
}

}  // namespace

nb::object capsule_of(Asked asked, const Tensors& tensors) {
    const int kind = tensors.kind();
    const int64_t number = kind ? sizeof(double) : sizeof(float);
    int64_t state = 0;
    for (const int64_t width : asked.widths) state += width * asked.step.count * number;
    const JointCall& joint = asked.joint;
    const Networks shown{joint.symbols, asked.blank, joint.width, number, state, joint.width * number, kind ? predict<double> : predict<float>, join};
    Networks* made = new Held{shown, std::move(asked), kind, tensors.kept()};
    return nb::capsule(made, kNetworks, [](void* of) noexcept { delete static_cast<Held*>(static_cast<Networks*>(of)); });
}

}  // namespace carousel
