// SiLU and GELU, each times a gate's other half, and soft caps; forward and backward.
#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

VOLANT_INLINE V sigmoid(V x) { return inverse_of(1.0F + exp_of(-x)); }

VOLANT_INLINE V absolute(V x) { return x < 0 ? -x : x; }

// e^(-a^2) * polynomial: erfc(a) for a >= 0 within 2e-7 (Abramowitz and Stegun 1964, 7.1.26).
VOLANT_INLINE V erfc_of(V a) {
  const V t = inverse_of(1.0F + 0.3275911F * a);
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

}  // namespace

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

}  // namespace volant::torch_ops::VOLANT_ISA
