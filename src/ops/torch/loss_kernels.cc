// From logits to losses and their gradients: the end of a head, cross-entropy, distillation.
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

template <class T>
float largest_of(const T* x, int64_t n) {
  V top = broadcast(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) top = maximum(top, load(x + i));
  float largest = maximum_of(top);
  for (; i < n; ++i) largest = std::max(largest, to_float(x[i]));
  return largest;
}

// One row: its loss, and p - onehot times `factor` as gradient. `powers` is room for e^(logits - largest).
template <class L, class G>
double loss_row(const L* logits, float* powers, int32_t target, float weight, const LossRows& rows, G* grad) {
  const int64_t n = rows.n_vocab;
  const float largest = largest_of(logits, n), at_target = to_float(logits[target]);
  double mean = 0;
  if (rows.label_smoothing > 0) {
    for (int64_t i = 0; i < n; ++i) mean += static_cast<double>(to_float(logits[i]));
    mean /= static_cast<double>(n);
  }
  V sums{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V e = exp_of(load(logits + i) - largest);
    store(powers + i, e);
    sums += e;
  }
  float total = sum(sums);
  for (; i < n; ++i) total += powers[i] = std::exp(to_float(logits[i]) - largest);
  const double log_z = static_cast<double>(std::log(total)) + static_cast<double>(largest);
  const double z_loss = static_cast<double>(rows.z_loss), smooth = static_cast<double>(rows.label_smoothing);
  const double loss =
      log_z - (1 - smooth) * static_cast<double>(at_target) - smooth * mean + z_loss * log_z * log_z;
  if (grad != nullptr) {
    const float all = weight * rows.scale, each = all * rows.label_smoothing / static_cast<float>(n);
    const float factor = all * static_cast<float>(1 + 2 * z_loss * log_z) / total;
    for (i = 0; i < n; i += kLanes) store_some(grad + i, load_some(powers + i, n - i) * factor - each, n - i);
    store_one(grad + target, powers[target] * factor - each - all * (1 - rows.label_smoothing));
  }
  return static_cast<double>(weight) * loss;
}

// Leaves the best k; the others become so unlikely that they count for nothing.
void keep_best(float* logits, int64_t n, int64_t k, float temperature, std::vector<float>& scratch) {
  if (k <= 0 || k >= n) return;
  scratch.assign(logits, logits + n);
  std::nth_element(scratch.begin(), scratch.begin() + (k - 1), scratch.end(), std::greater<>());
  const float least = scratch[static_cast<size_t>(k - 1)], never = least - 200 * temperature;
  for (int64_t i = 0; i < n; ++i)
    if (logits[i] < least) logits[i] = never;
}

// One row: q the student's probabilities, soft at temperature T and hard at 1, p the teacher's at T.
template <class G>
void distil_row(const DistilRows& rows, int64_t t, G* grad) {
  const int64_t n = rows.n_vocab;
  const float *z = rows.logits + t * n, *teacher = rows.teacher + t * n;
  const float z_top = largest_of(z, n), p_top = largest_of(teacher, n), cool = 1 / rows.temperature;
  V hard_sums{}, soft_sums{}, p_sums{}, gaps{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V own = load(z + i) - z_top, his = load(teacher + i) - p_top, p = exp_of(his * cool);
    hard_sums += exp_of(own);
    soft_sums += exp_of(own * cool);
    p_sums += p;
    gaps += p * (his - own);
  }
  float hard_sum = sum(hard_sums), soft_sum = sum(soft_sums), p_sum = sum(p_sums), gap = sum(gaps);
  for (; i < n; ++i) {
    const float own = z[i] - z_top, his = teacher[i] - p_top, p = std::exp(his * cool);
    hard_sum += std::exp(own);
    soft_sum += std::exp(own * cool);
    p_sum += p;
    gap += p * (his - own);
  }
  const int32_t target = rows.targets[t];
  const double weight = static_cast<double>(rows.weights[t]), heat = static_cast<double>(rows.temperature);
  rows.hard[t] = weight * static_cast<double>(std::log(hard_sum) - (z[target] - z_top));
  rows.soft[t] = weight * heat *
                 (static_cast<double>(gap / p_sum) + heat * static_cast<double>(std::log(soft_sum / p_sum)));
  if (grad == nullptr) return;
  const float all = rows.weights[t] * rows.scale, hard_share = all * (1 - rows.alpha);
  const float hard = hard_share / hard_sum, soft_share = all * rows.alpha * rows.temperature;
  const float soft = soft_share / soft_sum, p_factor = soft_share / p_sum;
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const V own = load(z + i) - z_top, p = exp_of((load(teacher + i) - p_top) * cool);
    store(grad + i, exp_of(own) * hard + exp_of(own * cool) * soft - p * p_factor);
  }
  const auto one = [&](int64_t at) {
    const float own = z[at] - z_top, p = std::exp((teacher[at] - p_top) * cool);
    return std::exp(own) * hard + std::exp(own * cool) * soft - p * p_factor;
  };
  for (; i < n; ++i) store_one(grad + i, one(i));
  store_one(grad + target, one(target) - hard_share);
}

}  // namespace

void finish_logits(const HeadRows& rows) {
  split(rows.rows, rows.n_vocab * 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t i = 0; i < rows.n_vocab; i += kLanes) {
        const int64_t left = rows.n_vocab - i, at = t * rows.n_vocab + i;
        V v = load_some(rows.logits + at, left);
        if (rows.bias != nullptr) v += load_some(rows.bias + i, left);
        v *= rows.scale;
        if (rows.softcap > 0) {
          v = rows.softcap * tanh_of(v / rows.softcap);
          store_some(rows.capped + at, v, left);
        }
        store_some(rows.logits + at, v, left);
      }
  });
}

void unfinish_gradient(const HeadRows& rows) {
  typed(rows.grad.bf16, [&](auto* type) {
    auto* grad = static_cast<TypeOf<decltype(type)>*>(rows.grad.data);
    split_lanes(rows.rows * rows.n_vocab, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes) {
        V g = load_some(grad + i, end - i) * rows.scale;
        if (rows.softcap > 0) {
          const V share = load_some(rows.capped + i, end - i) / rows.softcap;
          g *= 1.0F - share * share;
        }
        store_some(grad + i, g, end - i);
      }
    });
  });
}

void loss_rows(const LossRows& rows) {
  typed(rows.logits.bf16, [&](auto* logit_type) {
    typed(rows.grad.bf16, [&](auto* type) {
      using L = TypeOf<decltype(logit_type)>;
      using G = TypeOf<decltype(type)>;
      auto* logits = static_cast<L*>(rows.logits.data);
      auto* grad = static_cast<G*>(rows.grad.data);
      const int64_t n = rows.n_vocab;
      split(rows.rows, n * 8, [&](int64_t begin, int64_t end, int) {
        std::vector<float> room(std::is_same_v<L, float> ? 0 : static_cast<size_t>(n));
        for (int64_t t = begin; t < end; ++t) {
          float* powers = room.data();
          if constexpr (std::is_same_v<L, float>) powers = logits + t * n;
          rows.loss[t] = loss_row(logits + t * n, powers, rows.targets[t], rows.weights[t], rows,
                                  grad == nullptr ? nullptr : grad + t * n);
        }
      });
    });
  });
}

void distil_rows(const DistilRows& rows) {
  typed(rows.grad.bf16, [&](auto* type) {
    using G = TypeOf<decltype(type)>;
    split(rows.rows, rows.n_vocab * 32, [&](int64_t begin, int64_t end, int) {
      std::vector<float> scratch;
      for (int64_t t = begin; t < end; ++t) {
        keep_best(rows.teacher + t * rows.n_vocab, rows.n_vocab, rows.top_k, rows.temperature, scratch);
        distil_row(rows, t,
                   rows.grad.data == nullptr ? nullptr : static_cast<G*>(rows.grad.data) + t * rows.n_vocab);
      }
    });
  });
}

}  // namespace volant::torch_ops::VOLANT_ISA
