// Which instruction set runs: the best that this machine has, or the one that CAROUSEL_CPU names.
#pragma once
#include <vector>
#include "call.h"

namespace carousel {

std::vector<const Target*> usable();  // the best first
const Target& chosen();
bool choose(const char* name);  // false if it is not usable here

}  // namespace carousel
