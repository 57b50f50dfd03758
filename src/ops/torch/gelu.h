// GELU and its slope, sixteen numbers at a time. Included only by the kernels, inside the namespace of their
// instruction set.
#pragma once
#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {

VOLANT_INLINE V absolute(V x) { return x < 0 ? -x : x; }
VOLANT_INLINE V below_zero(V x, V then, V otherwise) { return x < 0 ? then : otherwise; }
template <int n>
VOLANT_INLINE Vs<n> absolute(const Vs<n>& x) {
  return each(
      [](V a) __attribute__((always_inline)) { return absolute(a); }, x);
}
template <int n>
VOLANT_INLINE Vs<n> below_zero(const Vs<n>& x, const Vs<n>& then, const Vs<n>& otherwise) {
  return each(
      [](V a, V b, V c) __attribute__((always_inline)) { return below_zero(a, b, c); }, x, then, otherwise);
}

// e^(-a^2) * polynomial: erfc(a) for a >= 0 within 2e-7 (Abramowitz and Stegun 1964, 7.1.26).
template <class X>
VOLANT_INLINE X erfc_of(const X& a) {
  const X t = inverse_of(1.0F + 0.3275911F * a);
  X p = 1.061405429F * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  return p * t * exp_of(-1.0F * a * a);
}

// X: V or Vs.
template <class X>
struct GeluAt {
  X value, slope;
};
// With u = sqrt(2 / pi) (x + kCubic x^3): 1 / (1 + e^2u) is (1 - tanh u) / 2, what is missing of x.
template <class X>
VOLANT_INLINE GeluAt<X> gelu_tanh(const X& x) {
  constexpr float kTwice = 1.5957691216F, kCubic = 0.044715F;  // 2 sqrt(2 / pi)
  const X squared = x * x;
  const X missing = inverse_of(1.0F + exp_of(x * (kTwice + kTwice * kCubic * squared)));
  const X share = 1.0F - missing;
  return {x * share, share + share * missing * (x * (kTwice + 3.0F * kTwice * kCubic * squared))};
}
template <class X>
VOLANT_INLINE GeluAt<X> gelu_erf(const X& x) {
  const X tail = 0.5F * erfc_of(absolute(x) * 0.7071067812F);  // of the normal distribution, beyond |x|
  const X share = below_zero(x, tail, 1.0F - tail);
  return {x * share, share + x * 0.3989422804F * exp_of(-0.5F * x * x)};
}
template <class X>
VOLANT_INLINE GeluAt<X> gelu_of(const X& x, bool tanh) {
  return tanh ? gelu_tanh(x) : gelu_erf(x);
}

}  // namespace volant::torch_ops::VOLANT_ISA
