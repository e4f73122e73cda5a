// A CUDA driver without a processor: it takes what Triton's own launcher hands over, and notes it. What is not written
// here is put beside it by the test and does nothing.
#include <stdint.h>

enum { MOST = 1000 };
enum { THREADS = 0, REGISTERS = 4, WARP = 10, PROCESSORS = 16, MAJOR = 75, SHARED = 97 };

typedef struct {
    unsigned grid[3], block[3], shared;
    void *stream, *attributes;
    unsigned count;
} Launch;

static unsigned noted[MOST][4];
static int count;

int launches(void) { return count; }
const unsigned *launched(int n) { return noted[n]; }

int cuLaunchKernelEx(const Launch *launch, void *function, void **arguments, void **more) {
    unsigned *note = noted[count++ % MOST];
    note[0] = launch->grid[0];
    note[1] = launch->grid[1];
    note[2] = launch->count;
    note[3] = *(unsigned *)arguments[0];
    return 0;
}

int cuPointerGetAttribute(uint64_t *found, int what, uint64_t pointer) {
    *found = pointer;
    return 0;
}

int cuDeviceGetAttribute(int *found, int what, int device) {
    *found = what == SHARED ? 232448 : what == PROCESSORS ? 132 : what == MAJOR ? 9 : what == WARP ? 32 : 0;
    return 0;
}

int cuFuncGetAttribute(int *found, int what, void *function) {
    *found = what == THREADS ? 1024 : what == REGISTERS ? 64 : 0;
    return 0;
}

int cuDriverGetVersion(int *found) {
    *found = 13000;
    return 0;
}

static int some(void **found) {
    *found = found;
    return 0;
}

int cuCtxGetCurrent(void **found) { return some(found); }
int cuModuleLoadData(void **found, const void *image) { return some(found); }
int cuModuleGetFunction(void **found, void *module, const char *name) { return some(found); }
