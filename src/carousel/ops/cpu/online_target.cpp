// Learning online for one instruction set: this file is compiled once for each.
#include "online_filter.h"
#include "threads.h"

namespace carousel::CAROUSEL_TARGET {

static void online_groups(void* context, int part, int parts) {
    const OnlineCall& call = *static_cast<const OnlineCall*>(context);
    const int64_t groups = (call.nets_size + kNets - 1) / kNets;
    for (int64_t group = part; group < groups; group += parts)
        for (int64_t lane = 0; lane < kNets && group * kNets + lane < call.nets_size; lane += kLanes<double>) {
            if (call.covariance) OnlineFilter(call, group, lane).run();
            else Online(call, group, lane).run();
        }
}

void online(const OnlineCall& call) {
    const int64_t groups = (call.nets_size + kNets - 1) / kNets;
    parallel(int(groups < call.threads ? groups : call.threads), online_groups, const_cast<OnlineCall*>(&call));
}

}  // namespace carousel::CAROUSEL_TARGET
