// Vector exp, sigmoid and tanh, and the squashing functions of the cells with their slopes.
// NaN goes through: every clamp keeps a NaN. Infinities give the limits (softsign gives NaN, as the reference does).
#pragma once
#include "cells.h"
#include "simd.h"

namespace carousel::CAROUSEL_TARGET {

// Constants of exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2.
// `curve` is (exp(r) - 1 - r) / r^2, interpolated at the Chebyshev nodes of that interval in 60 digits and rounded:
// relative error of 1 + r + r^2 curve(r) below 1.1e-8 (float) and 2e-17 (double). `high` has so many zero bits at its
// end that n * high is exact, hence r is right without a fused multiply-add too.
template <class T> struct Exponent;
template <> struct Exponent<float> {
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
    static constexpr float per_ln2 = 1.44269504088896341f, high = 0x1.62e0000000000p-1f, low = 3.1946183e-05f;
    static constexpr float least = -104.0f, greatest = 89.0f, tanh_is_one = 9.1f;
    static constexpr int mantissa = 23, bias = 127;
    static constexpr float curve[] = {0.5f, 0.16666576f, 0.041666556f, 0.008363179f, 0.0013926184f};
};
template <> struct Exponent<double> {
    static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double per_ln2 = 1.44269504088896341, high = 0x1.62e42fefa3800p-1, low = 5.497923018708371e-14;
    static constexpr double least = -746.0, greatest = 710.0, tanh_is_one = 19.1;
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr double curve[] = {0.5000000000000001,     0.16666666666666669,    0.04166666666662413,    0.008333333333330062,
                                       0.0013888888917213717,  0.00019841269863053618, 2.4801521295954376e-05, 2.7557268459997064e-06,
                                       2.7620088445409746e-07, 2.510038549551032e-08};
};

template <class T> inline Bits<T> sign_of() { return Bits<T>{} + (typename BitsOf<T>::type(1) << (8 * int(sizeof(T)) - 1)); }
template <class T> inline Vec<T> magnitude(Vec<T> x) { return (Vec<T>)((Bits<T>)x & ~sign_of<T>()); }
template <class T> inline Vec<T> with_sign(Vec<T> size, Vec<T> sign) { return (Vec<T>)((Bits<T>)size | ((Bits<T>)sign & sign_of<T>())); }
// Larger and smaller that keep a NaN in x.
template <class T> inline Vec<T> at_least(Vec<T> x, T bound) {
#if defined(__AVX512F__)  // One instruction, which gives its second operand where either is NaN; the compiler would write two.
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_max_ps(__mmask16(-1), (__m512)broadcast(bound), (__m512)x);
    else return (Vec<T>)_mm512_maskz_max_pd(__mmask8(-1), (__m512d)broadcast(bound), (__m512d)x);
#else
    return x < broadcast(bound) ? broadcast(bound) : x;
#endif
}
template <class T> inline Vec<T> at_most(Vec<T> x, T bound) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_min_ps(__mmask16(-1), (__m512)broadcast(bound), (__m512)x);
    else return (Vec<T>)_mm512_maskz_min_pd(__mmask8(-1), (__m512d)broadcast(bound), (__m512d)x);
#else
    return x > broadcast(bound) ? broadcast(bound) : x;
#endif
}

// x = n ln 2 + rest, with exp(rest) = 1 + part. `shifted` is n + magic.
template <class T> struct Split { Vec<T> shifted, part; };

template <class T> inline Split<T> split(Vec<T> x) {
    using E = Exponent<T>;
    Vec<T> shifted = x * E::per_ln2 + E::magic, n = shifted - E::magic;
    Vec<T> r = x - n * E::high;
    r = r - n * E::low;
    constexpr int last = int(sizeof(E::curve) / sizeof(T)) - 1;
    Vec<T> curve = broadcast(E::curve[last]);
    for (int i = last - 1; i >= 0; --i) curve = curve * r + E::curve[i];
    return {shifted, r * r * curve + r};
}

// 2^n for n of a normal number.
template <class T> inline Vec<T> power(Bits<T> n) { return (Vec<T>)((n + Exponent<T>::bias) << Exponent<T>::mantissa); }

// value * 2^n for any n that can arise: in two factors, because 2^n itself may be no normal number.
template <class T> inline Vec<T> scale(Vec<T> value, Vec<T> shifted) {
#if defined(__AVX512F__)
    Vec<T> n = shifted - Exponent<T>::magic;
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_scalef_ps(__mmask16(-1), (__m512)value, (__m512)n);
    else return (Vec<T>)_mm512_maskz_scalef_pd(__mmask8(-1), (__m512d)value, (__m512d)n);
#else
    Bits<T> n = (Bits<T>)shifted - (Bits<T>)broadcast(Exponent<T>::magic), half = n >> 1;
    return value * power<T>(half) * power<T>(n - half);
#endif
}

template <class T> inline Vec<T> exponential(Vec<T> x) {
    x = at_most<T>(at_least<T>(x, Exponent<T>::least), Exponent<T>::greatest);
    Split<T> s = split<T>(x);
    return scale<T>(s.part + T(1), s.shifted);
}

// With e = exp(-|x|), which cannot overflow, sigmoid is 1 / (1 + e) or e / (1 + e): small values keep all their digits.
template <class T> inline Vec<T> sigmoid(Vec<T> x) {
    Vec<T> down = at_least<T>((Vec<T>)((Bits<T>)x | sign_of<T>()), Exponent<T>::least);
    Split<T> s = split<T>(down);
    Vec<T> e = scale<T>(s.part + T(1), s.shifted);
    return (x < T(0) ? e : broadcast(T(1))) / (e + T(1));
}

// tanh |x| = m / (m + 2) with m = exp(2|x|) - 1, found without the 1 near zero, so that small values keep all their digits.
template <class T> inline Vec<T> hyperbolic_tangent(Vec<T> x) {
    Vec<T> size = at_most<T>(magnitude<T>(x), Exponent<T>::tanh_is_one);
    Split<T> s = split<T>(size + size);
    Vec<T> two_n = power<T>((Bits<T>)s.shifted - (Bits<T>)broadcast(Exponent<T>::magic));
    Vec<T> m = s.part * two_n + (two_n - T(1));
    return with_sign<T>(m / (m + T(2)), x);
}

// Forced inline: a constant `kind` leaves one branch and no switch.
template <class T> [[gnu::always_inline]] inline Vec<T> squash(Squash kind, Vec<T> x) {
    switch (kind) {
        case Squash::sigmoid: return sigmoid<T>(x);
        case Squash::tanh: return hyperbolic_tangent<T>(x);
        case Squash::identity: return x;
        case Squash::g1997: return T(2) * hyperbolic_tangent<T>(x * T(0.5));  // 4 sigmoid(x) - 2
        case Squash::h1997: return hyperbolic_tangent<T>(x * T(0.5));         // 2 sigmoid(x) - 1
        case Squash::hard_sigmoid: return at_most<T>(at_least<T>(x + T(3), T(0)), T(6)) / T(6);
        case Squash::softsign: return x / (magnitude<T>(x) + T(1));
        case Squash::relu: return at_least<T>(x, T(0));
    }
    return x;
}

// dy/dx from the value y.
template <class T> [[gnu::always_inline]] inline Vec<T> slope(Squash kind, Vec<T> y) {
    const Vec<T> none{}, one = broadcast(T(1));
    switch (kind) {
        case Squash::sigmoid: return y - y * y;
        case Squash::tanh: return one - y * y;
        case Squash::identity: return one;
        case Squash::g1997: return one - y * y * T(0.25);
        case Squash::h1997: return (one - y * y) * T(0.5);
        case Squash::hard_sigmoid: return ((y > none) & (y < one)) ? broadcast(T(1) / T(6)) : none;
        case Squash::softsign: return (one - magnitude<T>(y)) * (one - magnitude<T>(y));
        case Squash::relu: return y > none ? one : none;
    }
    return one;
}

}  // namespace carousel::CAROUSEL_TARGET
