// Operations on one row of numbers.
#include <algorithm>
#include <cmath>

#include "kernels/generic/generic.h"
#include "tensor/dtype.h"

namespace volant::generic {

void to_bf16(const float* x, int64_t n, uint16_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = f32_to_bf16(x[i]);
  if (n % 2 != 0) out[n] = 0;
}

void quantize_q8(const float* x, int64_t n, int8_t* out, float* scales, int32_t* sums) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    const float* block = x + b * kQ8Block;
    float largest = 0;
    for (int64_t i = 0; i < kQ8Block; ++i) largest = std::max(largest, std::fabs(block[i]));
    const float inverse = largest > 0 ? 127.0F / largest : 0.0F;
    sums[2 * b] = sums[2 * b + 1] = 0;
    for (int64_t i = 0; i < kQ8Block; ++i) {
      // The clamp keeps NaN and infinity, which a broken model may produce, out of the conversion.
      const float value = std::clamp(std::nearbyint(block[i] * inverse), -127.0F, 127.0F);
      const int whole = value == value ? static_cast<int>(value) : 0;
      out[b * kQ8Block + i] = static_cast<int8_t>(whole);
      sums[2 * b + i / kSumBlock] += whole;
    }
    scales[b] = largest / 127.0F;
  }
}

void rms_norm(const float* x, const float* weight, int64_t n, float eps, float offset, float* out) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  const float factor = 1.0F / std::sqrt(sum / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * factor * (weight[i] + offset);
}

void layer_norm(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out) {
  float sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(n);
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0F / std::sqrt(squares / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i)
    out[i] = (x[i] - mean) * factor * weight[i] + (bias != nullptr ? bias[i] : 0.0F);
}

void gelu_mul(const float* gate, const float* up, int64_t n, bool tanh, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const float x = gate[i];
    const float twice_share =
        tanh ? 1 + std::tanh(0.7978845608F * (x + 0.044715F * x * x * x)) : std::erfc(-0.7071067812F * x);
    out[i] = 0.5F * x * twice_share * (up != nullptr ? up[i] : 1.0F);
  }
}

void softcap(const float* x, int64_t n, float cap, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = cap * std::tanh(x[i] / cap);
}

void scale(const float* x, int64_t n, float factor, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * factor;
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

void add(const float* a, const float* b, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void rope(const float* x, int64_t n_head, int64_t head_dim, int64_t n_turned, const float* cos,
          const float* sin, float* out) {
  const int64_t half = n_turned / 2;
  for (int64_t h = 0; h < n_head; ++h, x += head_dim, out += head_dim) {
    for (int64_t i = 0; i < half; ++i) {
      const float low = x[i], high = x[i + half];
      out[i] = low * cos[i] - high * sin[i];
      out[i + half] = high * cos[i] + low * sin[i];
    }
    std::copy(x + n_turned, x + head_dim, out + n_turned);
  }
}

int64_t argmax(const float* x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (x[i] > x[best]) best = i;
  }
  return best;
}

float max(const float* x, int64_t n) { return x[argmax(x, n)]; }

double exp_sum(const float* x, int64_t n, float max, float scale, float* out) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float term = std::exp((x[i] - max) * scale);
    if (out != nullptr) out[i] = term;
    sum += static_cast<double>(term);
  }
  return sum;
}

}  // namespace volant::generic
