// What the files that Python enters by have in common.
#pragma once
#include <nanobind/nanobind.h>
#include <vector>
#include "call.h"

namespace nb = nanobind;

namespace carousel {

using Numbers = std::vector<int64_t>;

Row row(const Numbers& from);
int compiled(const Row& row);  // the place of a row in the table, or -1
void bind_stream(nb::module_& module);
void bind_online(nb::module_& module);
void bind_transducer(nb::module_& module);

}  // namespace carousel
