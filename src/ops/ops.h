// The concept Ops: the coarse operations that models are written in. NativeOps (ops/native)
// runs our kernels with the KV cache; TorchOps (ops/torch) runs libtorch with autograd.
//
// Act is a handle to activations [rows, columns], row-major. Weight is opaque: it may be packed or
// quantised; model text never asks.
// Shapes in suffixes: T rows, D hidden, H heads, K key/value heads, d head_dim.
#pragma once
#include <concepts>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/batch.h"

namespace volant {

// Rotary position embedding: dimension i of a head pairs with i + head_dim/2 and turns by pos * inv_freq[i].
struct RopeSpec {
  int n_head = 0;  // heads side by side in a row
  int head_dim = 0;
  std::vector<float> inv_freq;  // head_dim / 2 radians per position
};

struct AttentionSpec {
  int layer = 0;  // which layer's cache
  int n_head = 0, n_kv_head = 0, head_dim = 0;
  float scale = 1;  // of q k^T before the softmax; causal
};

template <class O>
concept Ops = requires(O& ops, const typename O::Act& x, const typename O::Weight& w, const Batch& batch,
                       float eps, std::span<const int32_t> ids, const RopeSpec& rope,
                       const AttentionSpec& attention) {
  { ops.embed(w, ids) } -> std::same_as<typename O::Act>;         // rows of w[n_vocab, D] -> [T, D]
  { ops.linear(x, w) } -> std::same_as<typename O::Act>;          // x[T, in] w[out, in]^T -> [T, out]
  { ops.rms_norm(x, w, eps) } -> std::same_as<typename O::Act>;   // x / sqrt(mean(x^2) + eps) * w
  { ops.rope(x, batch, rope) } -> std::same_as<typename O::Act>;  // [T, H*d] turned by batch.pos
  // q[T, H*d], k and v [T, K*d] -> [T, H*d]
  { ops.attention(x, x, x, batch, attention) } -> std::same_as<typename O::Act>;
  { ops.silu_mul(x, x) } -> std::same_as<typename O::Act>;  // silu(gate) * up
  { ops.add(x, x) } -> std::same_as<typename O::Act>;
  { ops.take_rows(x, ids) } -> std::same_as<typename O::Act>;  // rows of x
};

}  // namespace volant
