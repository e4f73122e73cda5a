// Parallel regions on the OpenMP runtime that torch has already loaded: a second runtime or a pool of our own
// would wait on the same cores as torch's workers do. Nothing here needs OpenMP to compile or to link.
#pragma once

namespace carousel {

using Body = void (*)(void* context, int part, int parts);

// Runs body(context, part, parts) for every part from 0 to parts - 1, each exactly once, and returns when all are done.
// One after the other where parts is 1, inside another region, in a forked child and where no runtime is loaded.
// Numbers too small to be normal count as zero inside a body; the caller's own setting is restored.
// Bodies run in no promised order and must not wait for each other, nor throw.
void parallel(int parts, Body body, void* context);

// Runs body(context, part, parts) in a team whose members may wait for each other, by a Meeting: `parts` is how many there
// really are, at most `most`, and 1 where `parallel` would run one part after the other.
void together(int most, Body body, void* context);

// Where the members of a team wait for each other, at every step. Who shares the machine with others waits for a member
// that has no core: after a few such waits the team breaks up, and none is formed for a second.
class Meeting {
public:
    // Returns when all parts are here: whether the team goes on. If not, part 0 goes on alone.
    bool wait(int parts);

private:
    alignas(64) int arrived_ = 0;
    alignas(64) int round_ = 0, late_ = 0;
    bool over_ = false;
};
bool crowded();

// Where the team comes from: "GOMP_parallel of libgomp.so.1", or "none: serial".
const char* runtime();

}  // namespace carousel
