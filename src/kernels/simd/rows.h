// Operations on one row of numbers.
#pragma once
#include <cmath>
#include <limits>

#include "kernels/generic/generic.h"
#include "kernels/simd/exp.h"

namespace volant::simd {

template <class S>
void rms_norm(const float* x, const float* weight, int64_t n, float eps, float offset, float* out) {
  using V = typename S::V;
  V squares[2] = {S::zero(), S::zero()};
  int64_t i = 0;
  for (; i + 2 * S::kLanes <= n; i += 2 * S::kLanes) {
    const V a = S::load(x + i), b = S::load(x + i + S::kLanes);
    squares[0] = S::fma(a, a, squares[0]);
    squares[1] = S::fma(b, b, squares[1]);
  }
  for (; i < n; i += S::kLanes) {
    const V a = n - i >= S::kLanes ? S::load(x + i) : S::load_part(x + i, n - i);
    squares[0] = S::fma(a, a, squares[0]);
  }
  const float mean = S::sum(S::add(squares[0], squares[1])) / static_cast<float>(n);
  const V factor = S::set1(1.0F / std::sqrt(mean + eps)), more = S::set1(offset);
  for (i = 0; i + S::kLanes <= n; i += S::kLanes) {
    S::store(out + i, S::mul(S::mul(S::load(x + i), factor), S::add(S::load(weight + i), more)));
  }
  if (i < n) {
    const V value =
        S::mul(S::mul(S::load_part(x + i, n - i), factor), S::add(S::load_part(weight + i, n - i), more));
    S::store_part(out + i, value, n - i);
  }
}

template <class S>
void layer_norm(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out) {
  using V = typename S::V;
  // Calls f(numbers, place, count) for each vector of the row; lanes past the end are 0.
  const auto each = [n, x](const auto& f) {
    int64_t i = 0;
    for (; i + S::kLanes <= n; i += S::kLanes) f(S::load(x + i), i, int64_t{S::kLanes});
    if (i < n) f(S::load_part(x + i, n - i), i, n - i);
  };
  V sum = S::zero(), squares = S::zero();
  each([&](V v, int64_t, int64_t) { sum = S::add(sum, v); });
  const V mean = S::set1(S::sum(sum) / static_cast<float>(n));
  each([&](V v, int64_t, int64_t count) {
    float apart[S::kLanes];
    S::store(apart, S::sub(v, mean));
    const V d = S::load_part(apart, count);  // nothing past the end
    squares = S::fma(d, d, squares);
  });
  const V factor = S::set1(1.0F / std::sqrt(S::sum(squares) / static_cast<float>(n) + eps));
  each([&](V v, int64_t i, int64_t count) {
    V y = S::mul(S::mul(S::sub(v, mean), factor), S::load_part(weight + i, count));
    if (bias != nullptr) y = S::add(y, S::load_part(bias + i, count));
    S::store_part(out + i, y, count);
  });
}

// out = f(a) and f(a, b), number by number.
template <class S, class F>
inline void map(const float* a, int64_t n, float* out, const F& f) {
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) S::store(out + i, f(S::load(a + i)));
  if (i < n) S::store_part(out + i, f(S::load_part(a + i, n - i)), n - i);
}
template <class S, class F>
inline void map(const float* a, const float* b, int64_t n, float* out, const F& f) {
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) S::store(out + i, f(S::load(a + i), S::load(b + i)));
  if (i < n) S::store_part(out + i, f(S::load_part(a + i, n - i), S::load_part(b + i, n - i)), n - i);
}

template <class S>
void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  using V = typename S::V;
  map<S>(gate, up, n, out,
         [](V g, V u) { return S::mul(S::div(g, S::add(S::set1(1.0F), exp<S>(S::sub(S::zero(), g)))), u); });
}

template <class S>
inline typename S::V gelu_tanh(typename S::V x) {
  using V = typename S::V;
  const V cube = S::mul(S::mul(x, x), x);
  const V t = tanh<S>(S::mul(S::set1(0.7978845608F), S::fma(cube, S::set1(0.044715F), x)));
  return S::mul(S::mul(S::set1(0.5F), x), S::add(S::set1(1.0F), t));
}
// x Phi(x) = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2
template <class S>
inline typename S::V gelu_erf(typename S::V x) {
  using V = typename S::V;
  const V tail = erfc_of_abs<S>(S::mul(x, S::set1(0.7071067812F)));
  return S::sub(S::max(x, S::zero()), S::mul(S::mul(S::set1(0.5F), S::abs(x)), tail));
}

template <class S>
void gelu_mul(const float* gate, const float* up, int64_t n, bool tanh, float* out) {
  using V = typename S::V;
  if (up == nullptr && tanh) return map<S>(gate, n, out, [](V g) { return gelu_tanh<S>(g); });
  if (up == nullptr) return map<S>(gate, n, out, [](V g) { return gelu_erf<S>(g); });
  if (tanh) return map<S>(gate, up, n, out, [](V g, V u) { return S::mul(gelu_tanh<S>(g), u); });
  map<S>(gate, up, n, out, [](V g, V u) { return S::mul(gelu_erf<S>(g), u); });
}

template <class S>
void softcap(const float* x, int64_t n, float cap, float* out) {
  using V = typename S::V;
  const V large = S::set1(cap), inverse = S::set1(1.0F / cap);
  map<S>(x, n, out, [&](V v) { return S::mul(large, tanh<S>(S::mul(v, inverse))); });
}

template <class S>
void scale(const float* x, int64_t n, float factor, float* out) {
  using V = typename S::V;
  const V all = S::set1(factor);
  map<S>(x, n, out, [&](V v) { return S::mul(v, all); });
}

template <class S>
void add(const float* a, const float* b, int64_t n, float* out) {
  using V = typename S::V;
  map<S>(a, b, n, out, [](V x, V y) { return S::add(x, y); });
}

template <class S>
void rope(const float* x, int64_t n_head, int64_t head_dim, int64_t n_turned, const float* cos,
          const float* sin, float* out) {
  using V = typename S::V;
  const int64_t half = n_turned / 2;
  for (int64_t h = 0; h < n_head; ++h, x += head_dim, out += head_dim) {
    for (int64_t i = 0; i < half; i += S::kLanes) {
      const int64_t n = half - i < S::kLanes ? half - i : S::kLanes;
      const V low = S::load_part(x + i, n), high = S::load_part(x + half + i, n);
      const V c = S::load_part(cos + i, n), s = S::load_part(sin + i, n);
      S::store_part(out + i, S::fma(low, c, S::sub(S::zero(), S::mul(high, s))), n);
      S::store_part(out + half + i, S::fma(high, c, S::mul(low, s)), n);
    }
    for (int64_t i = n_turned; i < head_dim; ++i) out[i] = x[i];
  }
}

template <class S>
float max(const float* x, int64_t n) {
  typename S::V best = S::set1(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) best = S::max(S::load(x + i), best);
  float value = S::largest(best);
  for (; i < n; ++i) value = x[i] > value ? x[i] : value;
  return value;
}

template <class S>
int64_t argmax(const float* x, int64_t n) {
  const float value = max<S>(x, n);
  for (int64_t i = 0; i < n; ++i) {
    if (x[i] == value) return i;
  }
  return 0;
}

template <class S>
double exp_sum(const float* x, int64_t n, float max, float scale, float* out) {
  double sum = 0;
  for (int64_t i = 0; i < n;) {  // pieces short enough that f32 lanes lose nothing that matters
    const int64_t end = n - i > 1024 ? i + 1024 : n;
    typename S::V lanes = S::zero();
    for (; i + S::kLanes <= end; i += S::kLanes) {
      const typename S::V term = exp<S>(S::mul(S::sub(S::load(x + i), S::set1(max)), S::set1(scale)));
      if (out != nullptr) S::store(out + i, term);
      lanes = S::add(lanes, term);
    }
    sum += static_cast<double>(S::sum(lanes));
    for (; i < end; ++i) {
      const float term = std::exp((x[i] - max) * scale);
      if (out != nullptr) out[i] = term;
      sum += static_cast<double>(term);
    }
  }
  return sum;
}

template <class S>
void quantize_q8(const float* x, int64_t n, int8_t* out, float* scales, int32_t* sums) {
  using V = typename S::V;
  constexpr int kN = static_cast<int>(kQ8Block) / S::kLanes;
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    V values[kN];
    V magnitude = S::zero();
    for (int j = 0; j < kN; ++j) {
      values[j] = S::load(x + b * kQ8Block + j * S::kLanes);
      magnitude = S::max(S::abs(values[j]), magnitude);
    }
    const float largest = S::largest(magnitude);
    const V inverse = S::set1(largest > 0 ? 127.0F / largest : 0.0F);
    for (int j = 0; j < kN; ++j) {
      // max and min give their second operand for NaN: nothing outside of int8 comes through.
      values[j] = S::min(S::max(S::round(S::mul(values[j], inverse)), S::set1(-127.0F)), S::set1(127.0F));
    }
    S::store_int8(values, out + b * kQ8Block, sums + 2 * b);
    scales[b] = largest / 127.0F;
  }
}

}  // namespace volant::simd
