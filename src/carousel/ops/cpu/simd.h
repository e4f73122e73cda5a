// Vectors of the width that this target has, written once: the compiler lowers them to AVX-512, AVX2, SSE2 or NEON.
// Nothing here or in what includes it may come from std with a body: an inline function compiled for AVX-512 must
// never be the copy that the linker keeps for an older machine. All of it lives in a namespace named by the target.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef CAROUSEL_TARGET
#define CAROUSEL_TARGET baseline
#endif

namespace carousel::CAROUSEL_TARGET {

#if defined(__AVX512F__)
inline constexpr int kBytes = 64;
inline constexpr bool kManyRegisters = true;
#elif defined(__AVX2__)
inline constexpr int kBytes = 32;
inline constexpr bool kManyRegisters = false;
#elif defined(__aarch64__)
inline constexpr int kBytes = 16;
inline constexpr bool kManyRegisters = true;
#else
inline constexpr int kBytes = 16;
inline constexpr bool kManyRegisters = false;
#endif

// The integer of the same size as a float or double.
template <class T> struct BitsOf;
template <> struct BitsOf<float> { using type = int32_t; };
template <> struct BitsOf<double> { using type = int64_t; };
template <> struct BitsOf<uint32_t> { using type = int32_t; };

template <class T> inline constexpr int kLanes = kBytes / int(sizeof(T));

template <class T> struct VectorOf {
    typedef T aligned __attribute__((vector_size(kBytes), may_alias));
    typedef T anywhere __attribute__((vector_size(kBytes), aligned(alignof(T)), may_alias));
};
template <class T> using Vec = typename VectorOf<T>::aligned;
template <class T> using Bits = typename VectorOf<typename BitsOf<T>::type>::aligned;

// value - 0 is value, whatever its sign: the compiler drops the subtraction, as it could not drop value + 0.
template <class T> inline Vec<T> broadcast(T value) { return value - Vec<T>{}; }

// Keeps a broadcast in a register: without it the compiler repeats the load in every multiplication that uses it.
template <class V> inline void pin(V& value) {
#if defined(__x86_64__)
    asm("" : "+v"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#endif
}

template <class T> inline Vec<T> load(const T* from) { return *reinterpret_cast<const typename VectorOf<T>::anywhere*>(from); }
template <class T> inline void store(T* to, Vec<T> value) { *reinterpret_cast<typename VectorOf<T>::anywhere*>(to) = value; }

// The first `count` numbers, zeros behind them; nothing behind them is touched.
template <class T> inline Vec<T> load(const T* from, int count) {
    if (count >= kLanes<T>) return load(from);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), from);
    else return (Vec<T>)_mm512_maskz_loadu_pd(__mmask8((1u << count) - 1), from);
#else
    Vec<T> value{};
    for (int i = 0; i < count; ++i) value[i] = from[i];
    return value;
#endif
}

template <class T> inline void store(T* to, Vec<T> value, int count) {
    if (count >= kLanes<T>) return store(to, value);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(to, __mmask16((1u << count) - 1), (__m512)value);
    else _mm512_mask_storeu_pd(to, __mmask8((1u << count) - 1), (__m512d)value);
#else
    for (int i = 0; i < count; ++i) to[i] = value[i];
#endif
}

template <class T> inline Vec<T> smaller(Vec<T> a, Vec<T> b) { return a < b ? a : b; }
template <class T> inline Vec<T> larger(Vec<T> a, Vec<T> b) { return a > b ? a : b; }

template <class T> inline T sum(Vec<T> value) {
    T total = 0;
    for (int i = 0; i < kLanes<T>; ++i) total += value[i];
    return total;
}

inline int least(int a, int b) { return a < b ? a : b; }
inline int most(int a, int b) { return a > b ? a : b; }

}  // namespace carousel::CAROUSEL_TARGET
