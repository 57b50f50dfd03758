// From numbers to blocks: chooses scales, minimums and codes. Weighted least squares with a short search over
// the first guess (as Lloyd 1982: nearest codes and best scale in turns), with scales as the file will hold
// them. Numbers that are not finite count as 0 or as the largest f16.
#include <array>

#include "base/check.h"
#include "tensor/families.h"
#include "tensor/fit.h"

namespace volant::formats {
namespace {

constexpr float kLargest = 65504;  // of f16
constexpr int kRefinements = 2;

struct Input {
  float x[kMaxBlock], weight[kMaxBlock];
};

// Finite numbers, and weights that are 1 on the mean; all 1 when they say nothing.
void read_input(const float* x, const float* importance, int n, Input& in) {
  float total = 0;
  for (int i = 0; i < n; ++i) {
    in.x[i] = x[i] == x[i] ? std::clamp(x[i], -kLargest, kLargest) : 0.0F;
    in.weight[i] = 1;
    if (importance != nullptr) total += importance[i];
  }
  const float mean = total / static_cast<float>(n);
  if (!(mean > 1e-30F) || !std::isfinite(mean)) return;
  for (int i = 0; i < n; ++i) in.weight[i] = importance[i] > 0 ? importance[i] / mean : 0.0F;
}

// A scale as f16 keeps it.
float keep_f16(float value, uint16_t& bits) {
  bits = f32_to_f16(std::clamp(value, -kLargest, kLargest));
  return f16_to_f32(bits);
}

void quantize_symmetric_32(const BlockShape& shape, const Input& in, Block& block) {
  const int last = (1 << shape.bits) - 1;
  const float step = keep_f16(fit_step(in.x, in.weight, 32, -shape.offset, last - shape.offset), block.scale);
  assign_codes(in.x, in.weight, 32, {step, step * static_cast<float>(shape.offset)}, last, block.codes);
}

void quantize_affine_32(const BlockShape& shape, const Input& in, Block& block) {
  const int last = (1 << shape.bits) - 1;
  const Steps found = fit_steps(in.x, in.weight, 32, last, false);
  const float step = keep_f16(found.step, block.scale), min = keep_f16(-found.shift, block.min);
  assign_codes(in.x, in.weight, 32, {step, -min}, last, block.codes);
}

// The code of the table's nearest number, and that number.
struct TableCode {
  uint8_t code;
  float value;
};
TableCode nearest_in_table(const int8_t* values, float x) {
  int code = 0;
  for (int k = 0; k < 15; ++k) code += 2 * x > static_cast<float>(values[k] + values[k + 1]) ? 1 : 0;
  return {static_cast<uint8_t>(code), static_cast<float>(values[code])};
}

void quantize_table_32(const BlockShape& shape, const Input& in, Block& block) {
  float most = 0;
  for (int i = 0; i < 32; ++i) most = std::fabs(in.x[i]) > std::fabs(most) ? in.x[i] : most;
  float best = 0, step = 0;
  const auto attempt = [&](float inverse) {
    float xq = 0, qq = 0;
    for (int i = 0; i < 32; ++i) {
      const float q = nearest_in_table(shape.values, in.x[i] * inverse).value;
      xq += in.weight[i] * in.x[i] * q;
      qq += in.weight[i] * q * q;
    }
    if (qq > 0 && xq * xq > best * qq) {
      best = xq * xq / qq;
      step = xq / qq;
    }
  };
  if (std::fabs(most) > 1e-30F) {
    for (int k = -5; k <= 5; ++k) {
      const float factor = 1 + 0.03F * static_cast<float>(k);
      attempt(factor * static_cast<float>(shape.values[0]) / most);
      attempt(factor * static_cast<float>(shape.values[15]) / most);
    }
    for (int round = 0; round < kRefinements && step != 0; ++round) attempt(1.0F / step);
  }
  const float kept = keep_f16(step, block.scale), inverse = kept != 0 ? 1.0F / kept : 0.0F;
  for (int i = 0; i < 32; ++i) block.codes[i] = nearest_in_table(shape.values, in.x[i] * inverse).code;
}

// What the small scales of a K block can be.
struct ScaleRange {
  int low, high;  // of scales; mins are 0 to high
};
ScaleRange scale_range(DType dtype) {
  switch (dtype) {
    case DType::kQ2_K:
      return {0, 15};
    case DType::kQ3_K:
      return {-32, 31};
    case DType::kQ6_K:
      return {-128, 127};
    default:  // q4_K, q5_K
      return {0, 63};
  }
}

// A K block under way: scale and min as f16 keeps them.
class KBlock {
 public:
  KBlock(DType dtype, const Input& in, Block& block)
      : shape_(block_shape(dtype)), range_(scale_range(dtype)), in_(in), block_(block) {}

  void run() {
    fit_groups();
    set_scales(scale_, min_);
    float error = choose_scales(range_.high);
    for (int round = 0; round < kRefinements; ++round) {
      const Block before = block_;
      if (!refit()) break;
      const float now = choose_scales(1);
      if (now < error) {
        error = now;
      } else {
        block_ = before;
        break;
      }
    }
  }

 private:
  int groups() const { return kMaxBlock / shape_.sub; }
  int last() const { return (1 << shape_.bits) - 1; }

  void set_scales(float scale, float min) {
    scale_ = keep_f16(scale, block_.scale);
    min_ = keep_f16(min, block_.min);
  }

  // The best steps of each group by itself; the block's scale makes the largest of them fit.
  void fit_groups() {
    float most_step = 0, most_shift = 0;
    for (int s = 0; s < groups(); ++s) {
      const float *x = in_.x + s * shape_.sub, *weight = in_.weight + s * shape_.sub;
      Steps& own = own_[static_cast<size_t>(s)];
      if (shape_.has_min) {
        own = fit_steps(x, weight, shape_.sub, last(), true);
      } else {
        own.step = fit_step(x, weight, shape_.sub, -shape_.offset, last() - shape_.offset);
      }
      if (std::fabs(own.step) > std::fabs(most_step)) most_step = own.step;
      most_shift = std::max(most_shift, own.shift);
    }
    // Signed scales reach further below zero.
    scale_ = most_step / static_cast<float>(range_.low < 0 ? range_.low : range_.high);
    min_ = most_shift / static_cast<float>(range_.high);
  }

  Steps steps(int scale, int min) const {
    const float step = scale_ * static_cast<float>(scale);
    const float shift =
        shape_.has_min ? min_ * static_cast<float>(min) : step * static_cast<float>(shape_.offset);
    return {step, shift};
  }

  // Whole scales of every group: those of its own best steps and their neighbours, the best of them; codes
  // with them. `reach` 1 starts from the scales that the block has. Returns the error.
  float choose_scales(int reach) {
    float total = 0;
    for (int s = 0; s < groups(); ++s) {
      int scale = block_.scales[s], min = block_.mins[s];
      if (reach > 1) {
        const Steps& own = own_[static_cast<size_t>(s)];
        scale = scale_ != 0 ? static_cast<int>(std::lround(own.step / scale_)) : 0;
        min = min_ != 0 ? static_cast<int>(std::lround(own.shift / min_)) : 0;
      }
      total += choose_near(s, scale, min);
    }
    return total;
  }

  float choose_near(int s, int scale, int min) {
    const float *x = in_.x + s * shape_.sub, *weight = in_.weight + s * shape_.sub;
    uint8_t* codes = block_.codes + s * shape_.sub;
    uint8_t tried[32];
    float best = std::numeric_limits<float>::infinity();
    const int min_reach = shape_.has_min ? 1 : 0;
    for (int ds = -1; ds <= 1; ++ds) {
      for (int dm = -min_reach; dm <= min_reach; ++dm) {
        const int try_scale = std::clamp(scale + ds, range_.low, range_.high);
        const int try_min = shape_.has_min ? std::clamp(min + dm, 0, range_.high) : 0;
        const float error = assign_codes(x, weight, shape_.sub, steps(try_scale, try_min), last(), tried);
        if (!(error < best)) continue;
        best = error;
        block_.scales[s] = static_cast<int8_t>(try_scale);
        block_.mins[s] = static_cast<int8_t>(try_min);
        std::copy(tried, tried + shape_.sub, codes);
      }
    }
    return best;
  }

  // The block's scale and min that fit the codes best: x = scale * a - min * b. False when there is none.
  bool refit() {
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (int i = 0; i < kMaxBlock; ++i) {
      const int s = i / shape_.sub;
      const double a = block_.scales[s] * (block_.codes[i] - shape_.offset), b = block_.mins[s];
      const double x = static_cast<double>(in_.x[i]), weight = static_cast<double>(in_.weight[i]);
      aa += weight * a * a;
      ab += weight * a * b;
      bb += weight * b * b;
      xa += weight * x * a;
      xb += weight * x * b;
    }
    const double det = aa * bb - ab * ab;
    double scale = 0, min = 0;
    if (shape_.has_min && det > 1e-9 * aa * bb && det > 0) {
      scale = (xa * bb - xb * ab) / det;
      min = (xa * ab - xb * aa) / det;
    }
    if (!shape_.has_min || !(min > 0)) {
      if (!(aa > 0)) return false;
      scale = xa / aa;
      min = 0;
    }
    if (shape_.has_min && !(scale > 0)) return false;
    set_scales(static_cast<float>(scale), static_cast<float>(min));
    return true;
  }

  const BlockShape shape_;
  const ScaleRange range_;
  const Input& in_;
  Block& block_;
  std::array<Steps, 16> own_{};
  float scale_ = 0, min_ = 0;
};

[[gnu::always_inline]] inline void quantize_any(DType dtype, const float* x, const float* importance,
                                                Block& block) {
  const BlockShape shape = block_shape(dtype);
  Input in;
  read_input(x, importance, dtype_info(dtype).block, in);
  block.min = 0;
  if (shape.has_scales) {
    KBlock(dtype, in, block).run();
  } else if (shape.values != nullptr) {
    quantize_table_32(shape, in, block);
  } else if (shape.has_min) {
    quantize_affine_32(shape, in, block);
  } else {
    quantize_symmetric_32(shape, in, block);
  }
}

#if defined(__x86_64__)
// `flatten` takes the whole search into the wider instructions.
__attribute__((target("avx2,f16c"), flatten)) void quantize_avx2(DType dtype, const float* x,
                                                                 const float* importance, Block& block) {
  quantize_any(dtype, x, importance, block);
}
#endif

}  // namespace

void quantize_block(DType dtype, const float* x, const float* importance, Block& block) {
#if defined(__x86_64__)
  if (has_avx2()) return quantize_avx2(dtype, x, importance, block);
#endif
  quantize_any(dtype, x, importance, block);
}

}  // namespace volant::formats
