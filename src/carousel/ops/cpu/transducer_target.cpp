// The sums over symbols of a transducer, and its joint network, for one instruction set: this file is compiled once for each.
#include "call.h"
#include "joint.h"
#include "threads.h"
#include "transducer.h"

namespace carousel::CAROUSEL_TARGET {

template <class T> static void forward_rows(void* context, int part, int parts) {
    const Emissions<T> emissions(*static_cast<const TransducerCall*>(context));
    for (int64_t row = part; row < emissions.rows(); row += parts) emissions.forward(row);
}

template <class T> static void backward_rows(void* context, int part, int parts) {
    const Emissions<T> emissions(*static_cast<const TransducerCall*>(context));
    for (int64_t row = part; row < emissions.rows(); row += parts) emissions.backward(row);
}

template <class T> static void backward_sequences(void* context, int part, int parts) {
    const TransducerCall& call = *static_cast<const TransducerCall*>(context);
    for (int64_t sequence = part; sequence < call.batch; sequence += parts) Emissions<T>(call).backward_of_sum(sequence);
}

static int parts(const TransducerCall& call, int64_t pieces) { return int(pieces < call.threads ? pieces : call.threads); }

template <class T> void emissions(const TransducerCall& call) {
    parallel(parts(call, call.batch * call.time), forward_rows<T>, const_cast<TransducerCall*>(&call));
}

template <class T> void emissions_backward(const TransducerCall& call) {
    if (call.prediction) parallel(parts(call, call.batch), backward_sequences<T>, const_cast<TransducerCall*>(&call));
    else parallel(parts(call, call.batch * call.time), backward_rows<T>, const_cast<TransducerCall*>(&call));
}

template void emissions<float>(const TransducerCall&);
template void emissions<double>(const TransducerCall&);
template void emissions_backward<float>(const TransducerCall&);
template void emissions_backward<double>(const TransducerCall&);
template void relate<float>(const JointCall&);
template void relate<double>(const JointCall&);
template void join<float>(const JointCall&);
template void join<double>(const JointCall&);

}  // namespace carousel::CAROUSEL_TARGET
