// All cells for one instruction set: this file is compiled once for each.
#include "backward.h"
#include "forward.h"
#include "grid.h"
#include "stream.h"

namespace carousel::CAROUSEL_TARGET {

template <class T, int... n> struct Table {
    static constexpr ForwardUnits<T> forward[] = {forward_as<T, Fixed<n>>..., forward_as<T, Any>};
    static constexpr BackwardUnits<T> backward[] = {backward_as<T, Fixed<n>>..., backward_as<T, Any>};
};
inline constexpr int kCompiled = int(sizeof(kRows) / sizeof(kRows[0]));
template <class T, int n, int... rows> struct MakeTable : MakeTable<T, n - 1, n - 1, rows...> {};
template <class T, int... rows> struct MakeTable<T, 0, rows...> { using type = Table<T, rows...>; };
template <class T> using Rows = typename MakeTable<T, kCompiled>::type;

template <class C> int instance(const C& call) { return call.compiled < 0 ? kCompiled : call.compiled; }

template <class T> void forward(const Call& call) {
    const ForwardUnits<T> units = Rows<T>::forward[instance(call)];
    if constexpr (kHalves && sizeof(T) == sizeof(Pair))
        if (call.half) return Forward<T, Pair>(call, units).run();
    Forward<T, T>(call, units).run();
}

template <class T> void stream(const Step& step) { stream_step<T>(step, Rows<T>::forward[instance(step)]); }

template <class T> void clear(const Call& call) {
    const Layout layout(call.row, int(call.hidden));
    const size_t hidden = size_t(call.hidden), output = size_t(call.output), batch = size_t(call.batch), sent = size_t(layout.sent);
    bool reads_cell = false;
    for (int g = 0; g < kGates; ++g) reads_cell |= recurrent(call.row, g) && gate_of(call.row, g).recurrent == Recurrent::cell;
    const size_t read = reads_cell ? hidden : output;
    auto zero = [](void* to, size_t count) { if (to && count) memset(to, 0, count * sizeof(T)); };
    if (!call.accumulate) {
        zero(call.grad_W, size_t(layout.rows) * size_t(call.inputs));
        zero(call.grad_b, size_t(layout.rows));
        zero(call.grad_R, size_t(layout.recurrent_rows) * read);
        zero(call.grad_p, size_t(layout.peepholes) * hidden);
        zero(call.grad_G, sent * sent);
        zero(call.grad_norm_recurrent, 2 * size_t(layout.recurrent_rows));
        zero(call.grad_norm_cell, 2 * hidden);
        zero(call.grad_P, output * hidden);
        zero(call.grad_fresh_hidden, batch * output);
        zero(call.grad_fresh_cell, batch * hidden);
        zero(call.grad_fresh_gates, batch * sent);
    }
    zero(call.grad_initial_hidden, batch * output);
    zero(call.grad_initial_cell, batch * hidden);
    zero(call.grad_initial_gates, batch * sent);
}

template <class T> void backward(const Call& call) {
    clear<T>(call);
    const BackwardUnits<T> units = Rows<T>::backward[instance(call)];
    if constexpr (kHalves && sizeof(T) == sizeof(Pair))
        if (call.half) return Backward<T, Pair>(call, units).run();
    Backward<T, T>(call, units).run();
}

template <class T> void step(const StepCall& call) {
    Grid<T> shared(call, Rows<T>::forward[instance(call)], Rows<T>::backward[instance(call)]);
    parallel(shared.parts(), Grid<T>::run_forward, &shared);
}

template <class T> void step_backward(const StepCall& call) {
    Grid<T> shared(call, Rows<T>::forward[instance(call)], Rows<T>::backward[instance(call)]);
    parallel(shared.parts(), Grid<T>::run_backward, &shared);
    parallel(shared.parts(), Grid<T>::run_sums, &shared);
}

template <class T> void squash_all(Squash kind, const void* from, void* to, int64_t count) {
    for (int64_t at = 0; at < count; at += kLanes<T>) {
        const int n = int(count - at < kLanes<T> ? count - at : kLanes<T>);
        store(static_cast<T*>(to) + at, squash<T>(kind, load(static_cast<const T*>(from) + at, n)), n);
    }
}

void online(const OnlineCall& call);  // online_target.cpp
void population_of_floats(const PopulationCall& population);  // population_target.cpp
void population_of_doubles(const PopulationCall& population);
template <class T> void emissions(const TransducerCall& call);  // transducer_target.cpp
template <class T> void emissions_backward(const TransducerCall& call);
template <class T> void relate(const JointCall& call);
template <class T> void join(const JointCall& call);

#define CAROUSEL_TEXT_(name) #name
#define CAROUSEL_TEXT(name) CAROUSEL_TEXT_(name)
extern const Target target;
const Target target{CAROUSEL_TEXT(CAROUSEL_TARGET), {forward<float>, forward<double>}, {backward<float>, backward<double>},
                    {stream<float>, stream<double>}, {step<float>, step<double>},
                    {step_backward<float>, step_backward<double>}, {squash_all<float>, squash_all<double>}, online,
                    {population_of_floats, population_of_doubles},
                    {emissions<float>, emissions<double>}, {emissions_backward<float>, emissions_backward<double>},
                    {relate<float>, relate<double>}, {join<float>, join<double>}};

}  // namespace carousel::CAROUSEL_TARGET
