// Trials: runs of right answers. A net's trial begins where one may, with nothing in mind, and ends with its first wrong answer, from which
// it still learns, or when it has lasted long enough (Gers, Schmidhuber & Cummins 2000). Between trials a net waits, with nothing in mind
// at the end of a call: what its neighbours do meanwhile leaves no trace in it.
#pragma once
#include "online_call.h"
#include "online_nets.h"

namespace carousel::CAROUSEL_TARGET {

inline bool some(NetMask mask) {
    int64_t any = 0;
    for (int lane = 0; lane < kLanes<double>; ++lane) any |= mask[lane];
    return any != 0;
}

class Trials {
public:
    Net pace;  // the step size that is left

    Trials(const OnlineCall& given, int64_t first_net, Net whole) : pace(whole), call(given), first(first_net), rate(whole) {
        live = ~live;
        if (!on()) return;
        memory = numbers(call.trials, 3), tolerance = numbers(call.tolerance, 1)[0], fading = numbers(call.fading, 1)[0];
        live = memory[0] > Net{}, length = memory[1], pace = memory[2];
        for (int lane = 0; lane < kLanes<double>; ++lane) may[lane] = first + lane < call.nets_size && call.most_size > 0 ? -1 : 0;
    }

    bool on() const { return call.trials && call.lengths; }
    NetMask awake() const { return live; }
    bool idle() const { return on() && !some(live); }

    // Those that wait begin where they may; others that wait neither answer nor learn. True if any begins.
    bool begin(NetMask start, NetMask& reset, NetMask& target, NetMask& update) {
        const NetMask now = start & ~live & may;
        live |= now, reset |= now;
        length = now ? Net{} : length, pace = now ? rate : pace;
        target &= live, update &= live;
        return some(now);
    }
    NetMask near(Net answer, Net wanted) const { return magnitude<double>(answer - wanted) < tolerance; }
    void judge(NetMask target, NetMask right) {
        length += right ? broadcast(1.0) : Net{};
        over = target & (~right | (length >= broadcast(double(call.longest_size))));
    }
    void fade(NetMask update) { pace = update ? pace * fading : pace; }
    void end() {
        for (int lane = 0; some(over) && lane < kLanes<double>; ++lane) {
            if (!over[lane]) continue;
            const int64_t net = first + lane, right = int64_t(length[lane]);
            int64_t& ended = static_cast<int64_t*>(call.ended)[net];
            static_cast<int64_t*>(call.lengths)[net * call.most_size + ended++] = right;
            live[lane] = 0, over[lane] = 0;
            if (ended == call.most_size || right >= call.enough_size) may[lane] = 0;
        }
    }
    void keep() const {
        if (!on()) return;
        memory.set(0, live ? broadcast(1.0) : Net{}), memory.set(1, length), memory.set(2, pace);
    }

private:
    const OnlineCall& call;
    const int64_t first;
    const Net rate;
    NetNumbers memory;
    Net tolerance{}, fading{}, length{};
    NetMask live{}, over{}, may{};

    NetNumbers numbers(void* all, int64_t size) const { return {static_cast<double*>(all) + first / kNets * size * kNets + first % kNets}; }
};

}  // namespace carousel::CAROUSEL_TARGET
