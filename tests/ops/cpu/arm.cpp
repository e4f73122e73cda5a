// One call of the kernels on another processor: numbers and tensors come from stdin, the tensors go to stdout.
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "dispatch.h"
#include "threads.h"

namespace carousel {

using Bytes = std::vector<char>;

static void read(void* to, size_t count) {
    if (fread(to, 1, count, stdin) != count) exit(2);
}
static int64_t number() {
    int64_t value;
    read(&value, sizeof value);
    return value;
}
static Bytes tensor() {
    Bytes bytes(static_cast<size_t>(number()));
    read(bytes.data(), bytes.size());
    return bytes;
}
static void write(const Bytes& bytes) { fwrite(bytes.data(), 1, bytes.size(), stdout); }
static void* address(Bytes& bytes) { return bytes.empty() ? nullptr : bytes.data(); }

static void squash(int64_t kind) {
    const Squash which = Squash(number());
    Bytes bytes = tensor();
    chosen().squash[kind](which, bytes.data(), bytes.data(), int64_t(bytes.size() / (kind ? sizeof(double) : sizeof(float))));
    write(bytes);
}

static void loop(void (*run)(const Call&)) {
    Call call{};
    call.row = kRows[number()];
    call.row.block = int(number()), call.row.projection = number(), call.row.norm = Norm(number());
    call.compiled = int(number());
    call.time = number(), call.batch = number(), call.inputs = number(), call.hidden = number(), call.output = number();
    const int64_t flags = number();
    call.reverse = flags & 1, call.training = flags & 2, call.accumulate = flags & 4;
    call.threads = int(number());
#define CAROUSEL_FIELD(name) call.name##_stride.time = number(), call.name##_stride.batch = number();
    CAROUSEL_STRIDED(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
#define CAROUSEL_FIELD(name) Bytes name = tensor(); call.name = address(name);
    CAROUSEL_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
    run(call);
#define CAROUSEL_FIELD(name) write(name);
    CAROUSEL_TENSORS(CAROUSEL_FIELD)
#undef CAROUSEL_FIELD
}

// Numbers too small to be normal are zero in a region, on each of its threads, and count outside.
static bool counts() {
    volatile float tiny = 1e-38f;
    tiny = tiny / 4;
    return tiny != 0;
}
static bool flushes() {
    bool counted[2] = {true, true};
    parallel(2, [](void* to, int part, int) { static_cast<bool*>(to)[part] = counts(); }, counted);
    return counts() && !counted[0] && !counted[1];
}

}  // namespace carousel

int main() {
    using namespace carousel;
    const int64_t function = number(), kind = number();
    if (function == 2) squash(kind);
    else loop(function ? chosen().backward[kind] : chosen().forward[kind]);
    if (flushes()) return 0;
    fputs("small numbers are not zero in a region, or do not count outside", stderr);
    return 1;
}
