// Rows and columns of numbers: conversion, sums, looking up, copying, turning by positions.
#include <cstring>

#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {

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

// Threads take columns: a sum is always taken in the order of the rows, whose parts are read through.
void add_rows(In g, int64_t rows, int64_t columns, float* grad_b) {
  constexpr int64_t kVectors = 8;
  typed(g.bf16, [&](auto* type) {
    const auto* from = static_cast<const TypeOf<decltype(type)>*>(g.data);
    const auto strip = [&]<int64_t kCount>(int64_t begin) {
      V totals[kCount];
      for (int64_t j = 0; j < kCount; ++j)
        totals[j] = load_some(grad_b + begin + j * kLanes, columns - begin - j * kLanes);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t j = 0; j < kCount; ++j) {
          const int64_t i = begin + j * kLanes;
          totals[j] += load_some(from + t * columns + i, columns - i);
        }
      for (int64_t j = 0; j < kCount; ++j)
        store_some(grad_b + begin + j * kLanes, totals[j], columns - begin - j * kLanes);
    };
    split((columns + kLanes - 1) / kLanes, rows * kLanes, [&](int64_t begin, int64_t end, int) {
      for (; begin + kVectors <= end; begin += kVectors) strip.template operator()<kVectors>(begin * kLanes);
      for (; begin < end; ++begin) strip.template operator()<1>(begin * kLanes);
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

}  // namespace volant::torch_ops::VOLANT_ISA
