// Populations for one instruction set: this file is compiled once for each.
#include "population.h"

namespace carousel::CAROUSEL_TARGET {

static void run_members(void* context, int part, int parts) {
    const auto& population = *static_cast<const PopulationCall*>(context);
    for (int64_t number = part; number < population.count; number += parts) population.run(member(population, number));
}

// What is left over of a last vector of networks, and too little for it, runs one after the other.
template <class T> static void run_abreast(void* context, int part, int parts) {
    const auto& population = *static_cast<const PopulationCall*>(context);
    constexpr int64_t kWidth = Abreast<T>::kWidth;
    for (int64_t first = part * kWidth; first < population.count; first += parts * kWidth) {
        if (population.count - first >= Abreast<T>::kFewest) Abreast<T>(population, first).run();
        else
            for (int64_t number = first; number < population.count; ++number) population.run(member(population, number));
    }
}

template <class T> static void run_population(const PopulationCall& population) {
    const bool abreast = population.count > 0 && Abreast<T>::takes(population);
    const int64_t groups = abreast ? (population.count + Abreast<T>::kWidth - 1) / Abreast<T>::kWidth : population.count;
    const int parts = int(groups < population.threads ? groups : population.threads);
    parallel(parts, abreast ? run_abreast<T> : run_members, const_cast<PopulationCall*>(&population));
}

void population_of_floats(const PopulationCall& population) { run_population<float>(population); }
void population_of_doubles(const PopulationCall& population) { run_population<double>(population); }

}  // namespace carousel::CAROUSEL_TARGET
