// The search for the scale (and minimum) of a group of numbers that gives the least weighted squared error
// when each becomes a whole number of steps. For quantize.cc alone.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace volant::formats {

// Numbers are step * code - shift with code in [0, last].
struct Steps {
  float step = 0, shift = 0;
};

// To the nearest whole number, ties to even; |x| < 2^22.
inline float round_whole(float x) {
  constexpr float kMagic = 12582912.0F;  // 1.5 * 2^23: what is added to it loses its fraction
  return (x + kMagic) - kMagic;
}
inline float clamp_to(float x, float low, float high) {
  x = x > low ? x : low;  // also of NaN
  return x < high ? x : high;
}

// Writes the nearest codes; returns the error that they leave.
inline float assign_codes(const float* x, const float* weight, int n, Steps s, int last, uint8_t* codes) {
  const float inverse = s.step != 0 ? 1.0F / s.step : 0.0F, high = static_cast<float>(last);
  float error = 0;
#pragma omp simd reduction(+ : error)
  for (int i = 0; i < n; ++i) {
    const float code = clamp_to(round_whole(clamp_to((x[i] + s.shift) * inverse, -1, high + 1)), 0, high);
    const float miss = s.step * code - s.shift - x[i];
    error += weight[i] * miss * miss;
    codes[i] = static_cast<uint8_t>(code);
  }
  return error;
}

// The step of x = step * q, q a whole number in [low, high], low < 0 < high.
inline float fit_step(const float* x, const float* weight, int n, int low, int high) {
  float most = 0;
  for (int i = 0; i < n; ++i) most = std::fabs(x[i]) > std::fabs(most) ? x[i] : most;
  if (!(std::fabs(most) > 1e-30F)) return 0;
  const float from = static_cast<float>(low), to = static_cast<float>(high);
  float best = 0, step = 0;
  // Tries 1 / step = inverse; keeps the least squares step of the codes that it gives.
  const auto attempt = [&](float inverse) {
    float xq = 0, qq = 0;
#pragma omp simd reduction(+ : xq, qq)
    for (int i = 0; i < n; ++i) {
      const float q = clamp_to(round_whole(clamp_to(x[i] * inverse, from - 1, to + 1)), from, to);
      xq += weight[i] * x[i] * q;
      qq += weight[i] * q * q;
    }
    if (qq > 0 && xq * xq > best * qq) {
      best = xq * xq / qq;
      step = xq / qq;
    }
  };
  constexpr float kWidth = 0.14F;
  for (int k = -6; k <= 8;
       ++k) {  // the largest number goes to an end of the range, or a little past or before
    const float off = static_cast<float>(k) * kWidth;
    attempt((from - off) / most);
    attempt((to + off) / most);
  }
  for (int round = 0; round < 2 && step != 0; ++round) attempt(1.0F / step);
  return step;
}

// Step and shift of x = step * code - shift, code in [0, last]; shift is at least 0 when `positive_shift`.
inline Steps fit_steps(const float* x, const float* weight, int n, int last, bool positive_shift) {
  float least = x[0], most = x[0], a = 0, sum_x = 0, sum_xx = 0;
  for (int i = 0; i < n; ++i) {
    least = std::min(least, x[i]);
    most = std::max(most, x[i]);
    a += weight[i];
    sum_x += weight[i] * x[i];
    sum_xx += weight[i] * x[i] * x[i];
  }
  if (positive_shift) {
    least = std::min(least, 0.0F);
    most = std::max(most, least);
  }
  if (!(most - least > 1e-30F)) return {0, -least};
  const float high = static_cast<float>(last);
  Steps best;
  double best_error = 0;
  bool found = false;
  const auto attempt = [&](Steps s) {
    const float inverse = 1.0F / s.step;
    float q1 = 0, q2 = 0, xq = 0;
#pragma omp simd reduction(+ : q1, q2, xq)
    for (int i = 0; i < n; ++i) {
      const float q = clamp_to(round_whole(clamp_to((x[i] + s.shift) * inverse, -1, high + 1)), 0, high);
      q1 += weight[i] * q;
      q2 += weight[i] * q * q;
      xq += weight[i] * x[i] * q;
    }
    const double det = static_cast<double>(a) * q2 - static_cast<double>(q1) * q1;
    if (!(det > 0)) return;
    double step = (static_cast<double>(a) * xq - static_cast<double>(q1) * sum_x) / det;
    double shift = (step * q1 - sum_x) / a;
    if (positive_shift && shift < 0) {
      shift = 0;
      step = static_cast<double>(xq) / q2;
    }
    if (!(step > 0)) return;
    const double error = step * step * q2 + shift * shift * a + sum_xx - 2 * step * shift * q1 -
                         2 * step * xq + 2 * shift * sum_x;
    if (found && error >= best_error) return;
    found = true;
    best_error = error;
    best = {static_cast<float>(step), static_cast<float>(shift)};
  };
  for (int k = -7; k <= 7; ++k) {
    attempt({(most - least) / (high + 0.13F * static_cast<float>(k)), -least});
  }
  if (!found) return {(most - least) / high, -least};
  for (int round = 0; round < 2; ++round) attempt(best);
  return best;
}

}  // namespace volant::formats
