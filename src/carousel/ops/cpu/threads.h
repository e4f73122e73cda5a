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

// Where the team comes from: "GOMP_parallel of libgomp.so.1", or "none: serial".
const char* runtime();

}  // namespace carousel
