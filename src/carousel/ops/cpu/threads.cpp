#include "threads.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#endif
#if defined(__linux__)
#include <link.h>
#endif

namespace carousel {
namespace {

// Flush-to-zero of this thread while it lives. Never for the whole process: torch's users may need small numbers.
class Flush {
public:
#if defined(__x86_64__)
    Flush() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }  // FTZ and DAZ
    ~Flush() { _mm_setcsr(before_); }
private:
    unsigned before_;
#elif defined(__aarch64__)
    Flush() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" : : "r"(before_ | uint64_t(1) << 24));  // FZ
    }
    ~Flush() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
private:
    uint64_t before_;
#else
    Flush() {}
    ~Flush() {}
#endif
    Flush(const Flush&) = delete;
    Flush& operator=(const Flush&) = delete;
};

// ThreadSanitizer does not see how an uninstrumented runtime starts and joins its team: told here, in its builds only.
#if defined(__SANITIZE_THREAD__)
std::atomic<unsigned> told{0};
void tell() { told.fetch_add(1, std::memory_order_acq_rel); }
#else
void tell() {}
#endif

struct Runtime {
    void (*start)(void (*member)(void*), void* region, unsigned threads, unsigned flags) = nullptr;
    int (*member)() = nullptr;
    int (*members)() = nullptr;
    int (*inside)() = nullptr;
    std::string name = "none: serial";
};

#if defined(__unix__) || defined(__APPLE__)

std::string file_name(const char* path) {
    std::string name = path;
    return name.substr(name.find_last_of('/') + 1);
}

// True where the library behind `handle` has all that a region needs.
bool take(void* handle, Runtime& found) {
    Runtime got;
    got.start = reinterpret_cast<decltype(got.start)>(dlsym(handle, "GOMP_parallel"));
    got.member = reinterpret_cast<decltype(got.member)>(dlsym(handle, "omp_get_thread_num"));
    got.members = reinterpret_cast<decltype(got.members)>(dlsym(handle, "omp_get_num_threads"));
    got.inside = reinterpret_cast<decltype(got.inside)>(dlsym(handle, "omp_in_parallel"));
    if (!got.start || !got.member || !got.members || !got.inside) return false;
    Dl_info info{};
    bool named = dladdr(reinterpret_cast<void*>(got.start), &info) != 0 && info.dli_fname;
    got.name = "GOMP_parallel of " + (named ? file_name(info.dli_fname) : std::string("the process"));
    found = got;
    return true;
}

// Loaded OpenMP runtimes, those that lie beside torch first. dlopen must wait until the walk has ended.
std::vector<std::string> loaded() {
    std::vector<std::string> paths;
#if defined(__linux__)
    auto note = [](dl_phdr_info* library, size_t, void* list) {
        auto& found = *static_cast<std::vector<std::string>*>(list);
        std::string path = library->dlpi_name ? library->dlpi_name : "";
        std::string name = file_name(path.c_str());
        if (name.find("gomp") == std::string::npos && name.find("omp5") == std::string::npos && name.find("libomp") == std::string::npos) return 0;
        found.insert(path.find("torch") == std::string::npos ? found.end() : found.begin(), path);
        return 0;
    };
    dl_iterate_phdr(note, &paths);
#endif
    return paths;
}

Runtime find() {
    Runtime found;
    if (take(RTLD_DEFAULT, found)) return found;
    for (const std::string& path : loaded()) {
        void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
        if (handle && take(handle, found)) return found;  // The handle stays open, so that the library stays.
        if (handle) dlclose(handle);
    }
    return found;
}

// The threads of a team do not survive a fork, but the runtime in the child still waits for them.
// Noted when this library is loaded, because the parent's first region may be torch's and not ours.
std::atomic<bool> forked{false};
[[maybe_unused]] const int watched = pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });
bool is_forked() { return forked.load(std::memory_order_relaxed); }

#else

Runtime find() { return {}; }
bool is_forked() { return false; }

#endif

// Leaked on purpose: a region may still run while the process ends.
const Runtime& team() {
    static const Runtime* found = new Runtime(find());
    return *found;
}

struct Region {
    int parts;
    Body body;
    void* context;
};

// Parts are dealt out by striding: the team may be smaller than asked for, and every part must still run.
void run(const Region& region, int first, int stride) {
    Flush flush;
    for (int part = first; part < region.parts; part += stride) region.body(region.context, part, region.parts);
}

void join(void* region) {
    tell();
    run(*static_cast<const Region*>(region), team().member(), team().members());
    tell();
}

bool is_serial(int parts) { return parts <= 1 || is_forked() || !team().start || team().inside(); }

}  // namespace

void parallel(int parts, Body body, void* context) {
    Region region{parts, body, context};
    if (is_serial(parts)) return run(region, 0, 1);
    tell();
    team().start(join, &region, unsigned(parts), 0);
    tell();
}

namespace {

constexpr int kSpins = 2000, kLateWaits = 3;
constexpr int64_t kLate = 200'000, kCalm = 1'000'000'000;  // ns
std::atomic<int64_t> calm_at{0};

int64_t now() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

void give_way() {
#if defined(__unix__) || defined(__APPLE__)
    sched_yield();
#endif
}

void join_together(void* region) {
    tell();
    const Region& given = *static_cast<const Region*>(region);
    Flush flush;
    given.body(given.context, team().member(), team().members());
    tell();
}

}  // namespace

void together(int most, Body body, void* context) {
    Region region{most, body, context};
    if (is_serial(most)) return run({1, body, context}, 0, 1);
    tell();
    team().start(join_together, &region, unsigned(most), 0);
    tell();
}

bool crowded() { return now() < calm_at.load(std::memory_order_relaxed); }

bool Meeting::wait(int parts) {
    if (parts == 1) return true;
    const int round = __atomic_load_n(&round_, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == parts) {
        over_ = __atomic_load_n(&late_, __ATOMIC_RELAXED) >= kLateWaits;
        if (over_) calm_at.store(now() + kCalm, std::memory_order_relaxed);
        __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&round_, round + 1, __ATOMIC_RELEASE);
        return !over_;
    }
    for (int spin = 0; spin < kSpins; ++spin) {
        if (__atomic_load_n(&round_, __ATOMIC_ACQUIRE) != round) return !over_;
        pause();
    }
    const int64_t since = now();
    while (__atomic_load_n(&round_, __ATOMIC_ACQUIRE) == round) give_way();
    if (now() - since > kLate) __atomic_add_fetch(&late_, 1, __ATOMIC_RELAXED);
    return !over_;
}

const char* runtime() { return team().name.c_str(); }

}  // namespace carousel
