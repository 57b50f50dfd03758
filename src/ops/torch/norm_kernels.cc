// RMS norm and layer norm, forward and backward.
#include <cmath>

#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {

void rms_norm(In x, const float* w, float offset, float eps, int64_t rows, int64_t columns, Out y,
              float* inverse_rms) {
  typed(x.bf16, [&](auto* xt) {
    typed(y.bf16, [&](auto* yt) {
      const auto* from = static_cast<const TypeOf<decltype(xt)>*>(x.data);
      auto* to = static_cast<TypeOf<decltype(yt)>*>(y.data);
      split(rows, columns, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; ++t) {
          const auto* row = from + t * columns;
          V squares{};
          for (int64_t i = 0; i < columns; i += kLanes) {
            const V v = load_some(row + i, columns - i);
            squares += v * v;
          }
          const float inverse = 1.0F / std::sqrt(sum(squares) / static_cast<float>(columns) + eps);
          inverse_rms[t] = inverse;
          for (int64_t i = 0; i < columns; i += kLanes)
            store_some(to + t * columns + i,
                       load_some(row + i, columns - i) * inverse * (load_some(w + i, columns - i) + offset),
                       columns - i);
        }
      });
    });
  });
}

// With r = inverse rms and u = g * w:
// grad_x = r * (u - x * r^2 * mean(u * x)), grad_w = sum over rows of g * x * r.
void rms_norm_backward(In x, const float* w, float offset, const float* inverse_rms, In g, int64_t rows,
                       int64_t columns, Out grad_x, float* grad_w, float* scratch) {
  const int64_t threads = omp_get_max_threads();
  std::fill(scratch, scratch + threads * columns, 0.0F);
  typed(x.bf16, [&](auto* xt) {
    typed(g.bf16, [&](auto* gt) {
      typed(grad_x.bf16, [&](auto* ot) {
        const auto* xs = static_cast<const TypeOf<decltype(xt)>*>(x.data);
        const auto* gs = static_cast<const TypeOf<decltype(gt)>*>(g.data);
        auto* out = static_cast<TypeOf<decltype(ot)>*>(grad_x.data);
        split(rows, columns, [&](int64_t begin, int64_t end, int thread) {
          float* sums = scratch + thread * columns;
          for (int64_t t = begin; t < end; ++t) {
            const int64_t row = t * columns;
            const float r = inverse_rms[t];
            V dot{};
            for (int64_t i = 0; i < columns; i += kLanes) {
              const V xv = load_some(xs + row + i, columns - i), gv = load_some(gs + row + i, columns - i);
              dot += gv * (load_some(w + i, columns - i) + offset) * xv;
              store_some(sums + i, load_some(sums + i, columns - i) + gv * xv * r, columns - i);
            }
            const float pull = r * r * sum(dot) / static_cast<float>(columns);
            for (int64_t i = 0; i < columns; i += kLanes) {
              const V u = load_some(gs + row + i, columns - i) * (load_some(w + i, columns - i) + offset);
              store_some(out + row + i, (u - load_some(xs + row + i, columns - i) * pull) * r, columns - i);
            }
          }
        });
      });
    });
  });
  if (grad_w == nullptr) return;
  for (int64_t thread = 0; thread < threads; ++thread)
    for (int64_t i = 0; i < columns; ++i) grad_w[i] += scratch[thread * columns + i];
}
namespace {

// The numbers past the end of a row count nothing: `count` lanes stay.
VOLANT_INLINE V first_lanes(V x, int64_t count) {
  if (count >= kLanes) [[likely]]
    return x;
  float lanes[kLanes];
  store(lanes, x);
  return load_some(lanes, count);
}

}  // namespace

void layer_norm(In x, const float* w, const float* b, float eps, int64_t rows, int64_t columns, Out y,
                float* moments) {
  const auto n = static_cast<float>(columns);
  typed(x.bf16, [&](auto* xt) {
    typed(y.bf16, [&](auto* yt) {
      const auto* from = static_cast<const TypeOf<decltype(xt)>*>(x.data);
      auto* to = static_cast<TypeOf<decltype(yt)>*>(y.data);
      split(rows, columns, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; ++t) {
          const auto* row = from + t * columns;
          V total{}, squares{};
          for (int64_t i = 0; i < columns; i += kLanes) total += load_some(row + i, columns - i);
          const float mean = sum(total) / n;
          for (int64_t i = 0; i < columns; i += kLanes) {
            const V d = first_lanes(load_some(row + i, columns - i) - mean, columns - i);
            squares += d * d;
          }
          const float inverse = 1.0F / std::sqrt(sum(squares) / n + eps);
          moments[2 * t] = mean;
          moments[2 * t + 1] = inverse;
          for (int64_t i = 0; i < columns; i += kLanes) {
            V v = (load_some(row + i, columns - i) - mean) * inverse * load_some(w + i, columns - i);
            if (b != nullptr) v += load_some(b + i, columns - i);
            store_some(to + t * columns + i, v, columns - i);
          }
        }
      });
    });
  });
}

// With z = (x - mean) * inverse and u = g * w: grad_x = inverse * (u - mean(u) - z * mean(u * z)),
// grad_w = sum over rows of g * z, grad_b = sum of g.
void layer_norm_backward(In x, const float* w, const float* moments, In g, int64_t rows, int64_t columns,
                         Out grad_x, float* grad_w, float* grad_b, float* scratch) {
  const int64_t threads = omp_get_max_threads();
  const auto n = static_cast<float>(columns);
  std::fill(scratch, scratch + 2 * threads * columns, 0.0F);
  typed(x.bf16, [&](auto* xt) {
    typed(g.bf16, [&](auto* gt) {
      typed(grad_x.bf16, [&](auto* ot) {
        const auto* xs = static_cast<const TypeOf<decltype(xt)>*>(x.data);
        const auto* gs = static_cast<const TypeOf<decltype(gt)>*>(g.data);
        auto* out = static_cast<TypeOf<decltype(ot)>*>(grad_x.data);
        split(rows, columns, [&](int64_t begin, int64_t end, int thread) {
          float* w_sums = scratch + 2 * thread * columns;
          float* b_sums = w_sums + columns;
          for (int64_t t = begin; t < end; ++t) {
            const int64_t row = t * columns;
            const float mean = moments[2 * t], inverse = moments[2 * t + 1];
            V total{}, dot{};
            for (int64_t i = 0; i < columns; i += kLanes) {
              const int64_t left = columns - i;
              const V z = (load_some(xs + row + i, left) - mean) * inverse,
                      gv = load_some(gs + row + i, left);
              const V u = gv * load_some(w + i, left);
              total += u;
              dot += u * z;
              store_some(w_sums + i, load_some(w_sums + i, left) + gv * z, left);
              store_some(b_sums + i, load_some(b_sums + i, left) + gv, left);
            }
            const float mean_u = sum(total) / n, mean_uz = sum(dot) / n;
            for (int64_t i = 0; i < columns; i += kLanes) {
              const int64_t left = columns - i;
              const V z = (load_some(xs + row + i, left) - mean) * inverse;
              const V u = load_some(gs + row + i, left) * load_some(w + i, left);
              store_some(out + row + i, (u - mean_u - z * mean_uz) * inverse, left);
            }
          }
        });
      });
    });
  });
  for (int64_t thread = 0; thread < threads; ++thread)
    for (int64_t i = 0; i < columns; ++i) {
      if (grad_w != nullptr) grad_w[i] += scratch[2 * thread * columns + i];
      if (grad_b != nullptr) grad_b[i] += scratch[(2 * thread + 1) * columns + i];
    }
}

}  // namespace volant::torch_ops::VOLANT_ISA
