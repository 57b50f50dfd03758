// e^x in f32: x = n ln 2 + r with |r| <= ln 2 / 2, the polynomial of Cephes' expf for e^r, within 2 units in
// the last place. Below -87.3 (where f32 runs out) it is 0; from 88.3 up it stays at e^88.3.
#pragma once

namespace volant::simd {

template <class S>
inline typename S::V exp(typename S::V x) {
  using V = typename S::V;
  const V low = S::set1(-87.33654F), high = S::set1(88.02969F);
  const V clamped = S::min(S::max(x, low), high);
  const V n = S::round(S::mul(clamped, S::set1(1.44269504F)));
  V r = S::fma(n, S::set1(-0.693359375F), clamped);
  r = S::fma(n, S::set1(2.12194440e-4F), r);
  V p = S::set1(1.9875691500e-4F);
  p = S::fma(p, r, S::set1(1.3981999507e-3F));
  p = S::fma(p, r, S::set1(8.3334519073e-3F));
  p = S::fma(p, r, S::set1(4.1665795894e-2F));
  p = S::fma(p, r, S::set1(1.6666665459e-1F));
  p = S::fma(p, r, S::set1(5.0000001201e-1F));
  p = S::add(S::fma(p, S::mul(r, r), r), S::set1(1.0F));
  return S::keep_from(S::mul(p, S::pow2(n)), x, low);
}

// Within 2e-7: from e^(2x), where large x of either sign saturates.
template <class S>
inline typename S::V tanh(typename S::V x) {
  const typename S::V one = S::set1(1.0F), two = S::set1(2.0F);
  return S::sub(one, S::div(two, S::add(exp<S>(S::add(x, x)), one)));
}

// erfc(|x|) within 2e-7: Abramowitz and Stegun 1964, 7.1.26.
template <class S>
inline typename S::V erfc_of_abs(typename S::V x) {
  using V = typename S::V;
  const V a = S::abs(x);
  const V t = S::div(S::set1(1.0F), S::fma(a, S::set1(0.3275911F), S::set1(1.0F)));
  V p = S::set1(1.061405429F);
  p = S::fma(p, t, S::set1(-1.453152027F));
  p = S::fma(p, t, S::set1(1.421413741F));
  p = S::fma(p, t, S::set1(-0.284496736F));
  p = S::fma(p, t, S::set1(0.254829592F));
  return S::mul(S::mul(p, t), exp<S>(S::sub(S::zero(), S::mul(a, a))));
}

}  // namespace volant::simd
