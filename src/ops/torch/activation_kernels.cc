// SiLU and GELU, each times a gate's other half, and soft caps; forward and backward.
#include "ops/torch/gelu.h"
#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

template <class X>
VOLANT_INLINE X sigmoid(const X& x) {
  return inverse_of(1.0F + exp_of(-1.0F * x));
}

}  // namespace

void silu_mul(In gate, In up, int64_t n, Out y) {
  typed(gate.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const T* a = static_cast<const T*>(gate.data);
    const T* b = static_cast<const T*>(up.data);
    T* out = static_cast<T*>(y.data);
    split_lanes(n, [&](int64_t begin, int64_t end) {
      for_vectors(begin, end, [&]<int n>(int64_t i, int64_t left) {
        const Vs<n> x = load_vectors<n>(a + i, left);
        store_vectors(out + i, x * sigmoid(x) * load_vectors<n>(b + i, left), left);
      });
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
      for_vectors(begin, end, [&]<int n>(int64_t i, int64_t left) {
        const Vs<n> x = load_vectors<n>(a + i, left), s = sigmoid(x);
        const Vs<n> gs_share = load_vectors<n>(gs + i, left) * s;
        store_vectors(gb + i, gs_share * x, left);
        store_vectors(ga + i, gs_share * load_vectors<n>(b + i, left) * (1.0F + x * (1.0F - s)), left);
      });
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
      for_vectors(begin, end, [&]<int n>(int64_t i, int64_t left) {
        Vs<n> value = gelu_of(load_vectors<n>(a + i, left), tanh).value;
        if (b != nullptr) value = value * load_vectors<n>(b + i, left);
        store_vectors(out + i, value, left);
      });
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
      for_vectors(begin, end, [&]<int n>(int64_t i, int64_t left) {
        const Vs<n> gv = load_vectors<n>(gs + i, left);
        const GeluAt<Vs<n>> at = gelu_of(load_vectors<n>(a + i, left), tanh);
        Vs<n> grad = gv * at.slope;
        if (b != nullptr) grad = grad * load_vectors<n>(b + i, left);
        store_vectors(ga + i, grad, left);
        if (b != nullptr) store_vectors(gb + i, gv * at.value, left);
      });
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
