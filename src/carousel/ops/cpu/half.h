// Products in bfloat16: two neighbours along the depth in 32 bits, multiplied and summed in float by one instruction.
// A product's factors are numbers of type W: float or double, or Pair where an instruction set has such an instruction.
#pragma once
#include "simd.h"

namespace carousel::CAROUSEL_TARGET {

using Pair = uint32_t;
#if defined(__AVX512BF16__)
inline constexpr bool kHalves = true;
#else
inline constexpr bool kHalves = false;
#endif

template <class W> struct SumOf { using type = W; };
template <> struct SumOf<Pair> { using type = float; };
template <class W> using Sum = typename SumOf<W>::type;
template <class W> inline constexpr bool kPaired = sizeof(W) == sizeof(Pair) && W(0.5) == W(0);
template <class W> inline constexpr int kNumbers = kPaired<W> ? 2 : 1;  // of the depth, in a factor
// How many factors hold so many numbers.
template <class W> inline int factors(int numbers) { return (numbers + kNumbers<W> - 1) / kNumbers<W>; }

template <class W> inline void multiply_add(Vec<Sum<W>>& sum, Vec<W> a, Vec<W> b) {
    if constexpr (!kPaired<W>) sum += a * b;
#if defined(__AVX512BF16__)
    else sum = (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
}

#if defined(__AVX512BF16__)
// Pairs of (low, high), lane by lane; rounded to the nearest, ties to even.
inline Vec<Pair> pairs(Vec<float> low, Vec<float> high) {
    const auto wide = [](Vec<float> of) { return (Vec<Pair>)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)_mm512_cvtneps_pbh((__m512)of)); };
    return wide(low) | wide(high) << 16;
}
#else
Vec<Pair> pairs(Vec<float>, Vec<float>);
#endif

// Two rows of a matrix that follow each other along the depth, number by number; the second may be null.
inline void pair_rows(Pair* to, const float* low, const float* high, int count) {
    for (int u = 0; u < count; u += kLanes<float>) {
        const int n = least(kLanes<float>, count - u);
        store(to + u, pairs(load(low + u, n), high ? load(high + u, n) : Vec<float>{}), n);
    }
}

// One row that is read along the depth: its neighbours become pairs, with a zero behind an odd end.
inline void pair_neighbours(Pair* to, const float* from, int count) {
#if defined(__AVX512BF16__)
    constexpr int L = kLanes<float>;
    for (int u = 0; u < count; u += 2 * L) {
        const int n = count - u;
        const Vec<float> low = load(from + u, n), high = n > L ? load(from + u + L, n - L) : Vec<float>{};
        store(to + u / 2, (Vec<Pair>)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low), least(L, (n + 1) / 2));
    }
#else
    (void)to, (void)from, (void)count;
#endif
}

}  // namespace carousel::CAROUSEL_TARGET
