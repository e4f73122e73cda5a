#include "dispatch.h"
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace carousel {

#if defined(__x86_64__)
namespace avx512bf16 { extern const Target target; }
namespace avx512 { extern const Target target; }
namespace avx2 { extern const Target target; }
#endif
namespace baseline { extern const Target target; }

std::vector<const Target*> usable() {
    std::vector<const Target*> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq");
    if (avx512 && __builtin_cpu_supports("avx512bf16")) found.push_back(&avx512bf16::target);
    if (avx512) found.push_back(&avx512::target);
    if (avx2) found.push_back(&avx2::target);
#endif
    found.push_back(&baseline::target);
    return found;
}

static const Target* named(const char* name) {
    for (const Target* target : usable())
        if (name && std::strcmp(target->name, name) == 0) return target;
    return nullptr;
}

static std::atomic<const Target*> current{nullptr};

const Target& chosen() {
    const Target* target = current.load(std::memory_order_relaxed);
    if (!target) {
        target = named(std::getenv("CAROUSEL_CPU"));
        if (!target) target = usable().front();
        current.store(target, std::memory_order_relaxed);
    }
    return *target;
}

bool choose(const char* name) {
    const Target* target = named(name);
    if (target) current.store(target, std::memory_order_relaxed);
    return target != nullptr;
}

}  // namespace carousel
