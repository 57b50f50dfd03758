// See kernels.h. Built once per instruction set: VOLANT_ISA names the namespace.
#include "ops/torch/kernels.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/torch/vec.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

// Calls f with a null pointer of the numbers' type.
template <class F>
VOLANT_INLINE void typed(bool bf16, F&& f) {
  if (bf16) {
    f(static_cast<Bf16*>(nullptr));
  } else {
    f(static_cast<float*>(nullptr));
  }
}
template <class T>
using TypeOf = std::remove_pointer_t<T>;

// Splits [0, n) into one run of items per thread: f(begin, end, thread).
template <class F>
void split(int64_t n, int64_t item_cost, F&& f) {
  const int threads = n * item_cost < 65536 ? 1 : omp_get_max_threads();
  if (threads == 1) return f(int64_t{0}, n, 0);
#pragma omp parallel num_threads(threads)
  {
    const int64_t thread = omp_get_thread_num(), count = omp_get_num_threads();
    f(n * thread / count, n * (thread + 1) / count, static_cast<int>(thread));
  }
}
// The same over numbers, in whole vectors.
template <class F>
void split_lanes(int64_t n, F&& f) {
  const int64_t groups = (n + kLanes - 1) / kLanes;
  split(groups, kLanes,
        [&](int64_t begin, int64_t end, int) { f(begin * kLanes, std::min(end * kLanes, n)); });
}

void convert(In x, int64_t n, Out y) {
  typed(x.bf16, [&](auto* xt) {
    typed(y.bf16, [&](auto* yt) {
      const auto* from = static_cast<const TypeOf<decltype(xt)>*>(x.data);
      auto* to = static_cast<TypeOf<decltype(yt)>*>(y.data);
      split_lanes(n, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += kLanes)
          store_some(to + i, load_some(from + i, end - i), end - i);
      });
    });
  });
}

void add(In x, In y, int64_t n, Out sum) {
  typed(x.bf16, [&](auto* xt) {
    typed(y.bf16, [&](auto* yt) {
      typed(sum.bf16, [&](auto* st) {
        const auto* a = static_cast<const TypeOf<decltype(xt)>*>(x.data);
        const auto* b = static_cast<const TypeOf<decltype(yt)>*>(y.data);
        auto* out = static_cast<TypeOf<decltype(st)>*>(sum.data);
        split_lanes(n, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; i += kLanes)
            store_some(out + i, load_some(a + i, end - i) + load_some(b + i, end - i), end - i);
        });
      });
    });
  });
}

void take_rows(In x, const int32_t* ids, int64_t rows, int64_t columns, Out y) {
  typed(x.bf16, [&](auto* xt) {
    typed(y.bf16, [&](auto* yt) {
      const auto* from = static_cast<const TypeOf<decltype(xt)>*>(x.data);
      auto* to = static_cast<TypeOf<decltype(yt)>*>(y.data);
      split(rows, columns, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; ++t)
          for (int64_t i = 0; i < columns; i += kLanes)
            store_some(to + t * columns + i, load_some(from + ids[t] * columns + i, columns - i),
                       columns - i);
      });
    });
  });
}

void embed(const float* w_VD, const int32_t* ids, int64_t rows, int64_t columns, Out y) {
  take_rows({w_VD, false}, ids, rows, columns, y);
}

// Threads take columns, so that two rows of one id never meet.
void scatter_add(In g, const int32_t* ids, int64_t rows, int64_t columns, float* grad) {
  typed(g.bf16, [&](auto* gt) {
    const auto* from = static_cast<const TypeOf<decltype(gt)>*>(g.data);
    const int64_t groups = (columns + kLanes - 1) / kLanes;
    split(groups, rows * kLanes, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t i = begin * kLanes; i < std::min(end * kLanes, columns); i += kLanes) {
          float* to = grad + ids[t] * columns + i;
          store_some(to, load_some(to, columns - i) + load_some(from + t * columns + i, columns - i),
                     columns - i);
        }
    });
  });
}

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

// The numbers past the end of a row count nothing: `count` lanes stay.
VOLANT_INLINE V first_lanes(V x, int64_t count) {
  if (count >= kLanes) [[likely]]
    return x;
  float lanes[kLanes];
  store(lanes, x);
  return load_some(lanes, count);
}

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

void rope(In x, const float* cos_sin, const int32_t* pos, int64_t rows, int n_head, int head_dim,
          int n_turned, bool inverse, Out y) {
  const int64_t half = n_turned / 2, columns = static_cast<int64_t>(n_head) * head_dim;
  typed(x.bf16, [&](auto* xt) {
    typed(y.bf16, [&](auto* yt) {
      const auto* from = static_cast<const TypeOf<decltype(xt)>*>(x.data);
      auto* to = static_cast<TypeOf<decltype(yt)>*>(y.data);
      split(rows, columns, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; ++t) {
          const float* cosines = cos_sin + static_cast<int64_t>(pos[t]) * n_turned;
          const float* sines = cosines + half;
          for (int h = 0; h < n_head; ++h) {
            const auto* a = from + t * columns + h * head_dim;
            auto* out = to + t * columns + h * head_dim;
            for (int64_t i = 0; i < half; i += kLanes) {
              const int64_t left = half - i;
              const V c = load_some(cosines + i, left);
              V s = load_some(sines + i, left);
              if (inverse) s = -s;
              const V first = load_some(a + i, left), second = load_some(a + half + i, left);
              store_some(out + i, first * c - second * s, left);
              store_some(out + half + i, second * c + first * s, left);
            }
            for (int64_t i = n_turned; i < head_dim; ++i) store_one(out + i, to_float(a[i]));
          }
        }
      });
    });
  });
}

VOLANT_INLINE V sigmoid(V x) { return 1.0F / (1.0F + exp_of(-x)); }

void silu_mul(In gate, In up, int64_t n, Out y) {
  typed(gate.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* a = static_cast<const T*>(gate.data);
    const T* b = static_cast<const T*>(up.data);
    T* out = static_cast<T*>(y.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes) {
        const V x = load_some(a + i, end - i);
        store_some(out + i, x * sigmoid(x) * load_some(b + i, end - i), end - i);
      }
    });
  });
}

void silu_mul_backward(In gate, In up, In g, int64_t n, Out grad_gate, Out grad_up) {
  typed(gate.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* a = static_cast<const T*>(gate.data);
    const T* b = static_cast<const T*>(up.data);
    const T* gs = static_cast<const T*>(g.data);
    T* ga = static_cast<T*>(grad_gate.data);
    T* gb = static_cast<T*>(grad_up.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes) {
        const V x = load_some(a + i, end - i), u = load_some(b + i, end - i), gv = load_some(gs + i, end - i);
        const V s = sigmoid(x);
        store_some(ga + i, gv * u * s * (1.0F + x * (1.0F - s)), end - i);
        store_some(gb + i, gv * x * s, end - i);
      }
    });
  });
}

VOLANT_INLINE V tanh_of(V x) { return 1.0F - 2.0F / (1.0F + exp_of(x + x)); }
VOLANT_INLINE V absolute(V x) { return x < 0 ? -x : x; }

// e^(-a^2) * polynomial: erfc(a) for a >= 0 within 2e-7 (Abramowitz and Stegun 1964, 7.1.26).
VOLANT_INLINE V erfc_of(V a) {
  const V t = 1.0F / (1.0F + 0.3275911F * a);
  V p = 1.061405429F * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  return p * t * exp_of(-a * a);
}

// gelu and its slope.
struct GeluAt {
  V value, slope;
};
VOLANT_INLINE GeluAt gelu_tanh(V x) {
  constexpr float kRoot = 0.7978845608F, kCubic = 0.044715F;  // sqrt(2 / pi)
  const V t = tanh_of(kRoot * (x + kCubic * x * x * x));
  const V half = 0.5F * (1.0F + t);
  return {x * half, half + 0.5F * x * (1.0F - t * t) * kRoot * (1.0F + 3.0F * kCubic * x * x)};
}
VOLANT_INLINE GeluAt gelu_erf(V x) {
  const V tail = 0.5F * erfc_of(absolute(x) * 0.7071067812F);  // of the normal distribution, beyond |x|
  const V share = x < 0 ? tail : 1.0F - tail;
  return {x * share, share + x * 0.3989422804F * exp_of(-0.5F * x * x)};
}
VOLANT_INLINE GeluAt gelu_of(V x, bool tanh) { return tanh ? gelu_tanh(x) : gelu_erf(x); }

void gelu_mul(In gate, In up, bool tanh, int64_t n, Out y) {
  typed(gate.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* a = static_cast<const T*>(gate.data);
    const T* b = static_cast<const T*>(up.data);
    T* out = static_cast<T*>(y.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes) {
        V value = gelu_of(load_some(a + i, end - i), tanh).value;
        if (b != nullptr) value = value * load_some(b + i, end - i);
        store_some(out + i, value, end - i);
      }
    });
  });
}

void gelu_mul_backward(In gate, In up, In g, bool tanh, int64_t n, Out grad_gate, Out grad_up) {
  typed(gate.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* a = static_cast<const T*>(gate.data);
    const T* b = static_cast<const T*>(up.data);
    const T* gs = static_cast<const T*>(g.data);
    T* ga = static_cast<T*>(grad_gate.data);
    T* gb = static_cast<T*>(grad_up.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes) {
        const int64_t left = end - i;
        const V gv = load_some(gs + i, left);
        const GeluAt at = gelu_of(load_some(a + i, left), tanh);
        store_some(ga + i, b == nullptr ? gv * at.slope : gv * at.slope * load_some(b + i, left), left);
        if (b != nullptr) store_some(gb + i, gv * at.value, left);
      }
    });
  });
}

void softcap(In x, float cap, int64_t n, Out y) {
  typed(x.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(y.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes)
        store_some(to + i, cap * tanh_of(load_some(from + i, end - i) / cap), end - i);
    });
  });
}

void softcap_backward(In y, float cap, In g, int64_t n, Out grad_x) {
  typed(y.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* ys = static_cast<const T*>(y.data);
    const T* gs = static_cast<const T*>(g.data);
    T* to = static_cast<T*>(grad_x.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes) {
        const V t = load_some(ys + i, end - i) / cap;
        store_some(to + i, load_some(gs + i, end - i) * (1.0F - t * t), end - i);
      }
    });
  });
}

void scale(In x, float factor, int64_t n, Out y) {
  typed(x.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(y.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes)
        store_some(to + i, load_some(from + i, end - i) * factor, end - i);
    });
  });
}

void add_bias(In x, const float* b, int64_t rows, int64_t columns, Out y) {
  typed(x.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(y.data);
    split(rows, columns, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t)
        for (int64_t i = 0; i < columns; i += kLanes)
          store_some(to + t * columns + i,
                     load_some(from + t * columns + i, columns - i) + load_some(b + i, columns - i),
                     columns - i);
    });
  });
}

// Threads take columns: a sum is always taken in the order of the rows.
void add_rows(In g, int64_t rows, int64_t columns, float* grad_b) {
  typed(g.bf16, [&](auto* type) {
    const auto* from = static_cast<const TypeOf<decltype(type)>*>(g.data);
    split((columns + kLanes - 1) / kLanes, rows * kLanes, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin * kLanes; i < std::min(end * kLanes, columns); i += kLanes) {
        V total = load_some(grad_b + i, columns - i);
        for (int64_t t = 0; t < rows; ++t) total += load_some(from + t * columns + i, columns - i);
        store_some(grad_b + i, total, columns - i);
      }
    });
  });
}

void copy_columns(In x, int64_t x_columns, int64_t x_begin, int64_t rows, int64_t count, Out y,
                  int64_t y_columns, int64_t y_begin) {
  const int64_t size = x.bf16 ? 2 : 4;
  const char* from = static_cast<const char*>(x.data) + x_begin * size;
  char* to = static_cast<char*>(y.data) + y_begin * size;
  split(rows, count, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      std::memcpy(to + t * y_columns * size, from + t * x_columns * size, static_cast<size_t>(count * size));
  });
}

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

// One row: its loss, and p - onehot times `factor` as gradient.
template <class G>
double loss_row(float* logits, int64_t n, int32_t target, float weight, const LossRows& rows, G* grad) {
  V top = broadcast(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) top = maximum(top, load(logits + i));
  float largest = maximum_of(top);
  for (; i < n; ++i) largest = std::max(largest, logits[i]);

  const float at_target = logits[target], smooth = rows.label_smoothing;
  const double mean = smooth > 0 ? std::accumulate(logits, logits + n, 0.0) / static_cast<double>(n) : 0;
  V sums{};
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const V e = exp_of(load(logits + i) - largest);
    store(logits + i, e);
    sums += e;
  }
  float total = sum(sums);
  for (; i < n; ++i) total += logits[i] = std::exp(logits[i] - largest);
  const double log_z = static_cast<double>(std::log(total)) + static_cast<double>(largest);
  const double z_loss = static_cast<double>(rows.z_loss), keep = 1 - static_cast<double>(smooth);
  const double loss = log_z - keep * static_cast<double>(at_target) - static_cast<double>(smooth) * mean +
                      z_loss * log_z * log_z;
  if (grad != nullptr) {
    const float all = weight * rows.scale, each = all * smooth / static_cast<float>(n);
    const float factor = all * static_cast<float>(1 + 2 * z_loss * log_z) / total;
    for (i = 0; i + kLanes <= n; i += kLanes) store(grad + i, load(logits + i) * factor - each);
    for (; i < n; ++i) store_one(grad + i, logits[i] * factor - each);
    store_one(grad + target, logits[target] * factor - each - all * (1 - smooth));
  }
  return static_cast<double>(weight) * loss;
}

void loss_rows(const LossRows& rows) {
  typed(rows.grad.bf16, [&](auto* type) {
    using G = TypeOf<decltype(type)>;
    split(rows.rows, rows.n_vocab * 8, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        G* grad = rows.grad.data == nullptr ? nullptr : static_cast<G*>(rows.grad.data) + t * rows.n_vocab;
        rows.loss[t] = loss_row(rows.logits + t * rows.n_vocab, rows.n_vocab, rows.targets[t],
                                rows.weights[t], rows, grad);
      }
    });
  });
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

float largest_of(const float* x, int64_t n) {
  V top = broadcast(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) top = maximum(top, load(x + i));
  float largest = maximum_of(top);
  for (; i < n; ++i) largest = std::max(largest, x[i]);
  return largest;
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

void adamw(const AdamWStep& s) {
  split_lanes(s.n, [&s](int64_t begin, int64_t end) {
    const float scale = s.gradient_scale, b1 = s.beta1, b2 = s.beta2, eps = s.eps, size = s.step_size,
                second = s.second_scale, keep = s.keep;
    float* __restrict w = s.w;
    float* __restrict g = s.g;
    float* __restrict m = s.m;
    float* __restrict v = s.v;
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * scale;
      m[i] = b1 * m[i] + (1 - b1) * gradient;
      v[i] = b2 * v[i] + (1 - b2) * gradient * gradient;
      w[i] = keep * w[i] - size * m[i] / (std::sqrt(v[i] * second) + eps);
      g[i] = 0;
    }
  });
}

void lion(const LionStep& s) {
  split_lanes(s.n, [&s](int64_t begin, int64_t end) {
    const float scale = s.gradient_scale, b1 = s.beta1, b2 = s.beta2, lr = s.lr, keep = s.keep;
    float* __restrict w = s.w;
    float* __restrict g = s.g;
    float* __restrict m = s.m;
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * scale, mixed = b1 * m[i] + (1 - b1) * gradient;
      const float sign = static_cast<float>((mixed > 0) - (mixed < 0));
      w[i] = keep * w[i] - lr * sign;
      m[i] = b2 * m[i] + (1 - b2) * gradient;
      g[i] = 0;
    }
  });
}

void sgd(const SgdStep& s) {
  split_lanes(s.n, [&s](int64_t begin, int64_t end) {
    const float scale = s.gradient_scale, momentum = s.momentum, lr = s.lr, keep = s.keep;
    const float ahead = s.nesterov ? momentum : 1, now = s.nesterov ? 1.0F : 0.0F;
    float* __restrict w = s.w;
    float* __restrict g = s.g;
    float* __restrict m = s.m;
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * scale;
      m[i] = momentum * m[i] + gradient;
      w[i] = keep * w[i] - lr * (now * gradient + ahead * m[i]);
      g[i] = 0;
    }
  });
}

// In blocks of fixed size, added up in order: threads do not change the sum.
double sum_of_squares(const float* x, int64_t n) {
  constexpr int64_t kBlock = 1 << 14;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks));
  split(blocks, kBlock, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      V squares{};
      const int64_t stop = std::min((b + 1) * kBlock, n);
      for (int64_t i = b * kBlock; i < stop; i += kLanes) {
        const V v = load_some(x + i, stop - i);
        squares += v * v;
      }
      sums[static_cast<size_t>(b)] = static_cast<double>(sum(squares));
    }
  });
  double total = 0;
  for (const double s : sums) total += s;
  return total;
}

}  // namespace

void attention(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum);
void attention_backward(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                        In grad_out, Out grad_q, Out grad_k, Out grad_v);

#define VOLANT_TEXT(x) VOLANT_TEXT_INNER(x)
#define VOLANT_TEXT_INNER(x) #x
extern const Kernels kTable;
const Kernels kTable = {VOLANT_TEXT(VOLANT_ISA),
                        convert,
                        add,
                        embed,
                        take_rows,
                        scatter_add,
                        rms_norm,
                        rms_norm_backward,
                        layer_norm,
                        layer_norm_backward,
                        rope,
                        silu_mul,
                        silu_mul_backward,
                        gelu_mul,
                        gelu_mul_backward,
                        softcap,
                        softcap_backward,
                        scale,
                        add_bias,
                        add_rows,
                        copy_columns,
                        finish_logits,
                        unfinish_gradient,
                        loss_rows,
                        distil_rows,
                        attention,
                        attention_backward,
                        adamw,
                        lion,
                        sgd,
                        sum_of_squares};

}  // namespace volant::torch_ops::VOLANT_ISA
