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
#include "ops/picture.h"
#include "ops/recurrent.h"
#include "ops/relative_bias.h"
#include "ops/routing.h"

namespace volant {

// Rotary position embedding: with r = 2 * inv_freq.size(), dimension i of a head pairs with i + r/2 and turns
// by pos * inv_freq[i]; dimensions from r on stay as they are.
struct RopeSpec {
  int n_head = 0;  // heads side by side in a row
  int head_dim = 0;
  std::vector<float> inv_freq;  // at most head_dim / 2, radians per position
  float scale = 1;              // of what is turned (YaRN's attention factor)
};

struct AttentionSpec {
  int layer = 0;  // which layer's cache
  int n_head = 0, n_kv_head = 0, head_dim = 0;
  float scale = 1;     // of q k^T before the softmax
  float softcap = 0;   // scores become softcap * tanh(score / softcap); 0: they stay
  int window = 0;      // a query sees this many positions, its own included; 0: all of them
  bool causal = true;  // false: a query sees its whole sequence, and `window` must be 0
};

// x * Phi(x) with the normal distribution Phi, exactly or by the tanh formula (Hendrycks and Gimpel 2016).
enum class Gelu { kErf, kTanh };

// The head of a language model: logits = cap(scale * (x weight^T + bias)), where cap(y) is
// softcap * tanh(y / softcap), and y itself for softcap 0. In one piece so that training can fuse it with the
// loss.
template <class Weight>
struct LmHead {
  const Weight* weight = nullptr;  // [V, D]; null: no head
  const Weight* bias = nullptr;    // [V]; null: none
  float scale = 1, softcap = 0;
};

template <class O>
concept Ops = requires(O& ops, const typename O::Act& x, const typename O::Weight& w, const Batch& batch,
                       float number, int64_t column, Gelu kind, std::span<const int32_t> ids,
                       const RopeSpec& rope, const AttentionSpec& attention,
                       const RelativeBias<typename O::Weight>& bias, const RouteSpec& route,
                       const typename O::Routing& routing, std::span<const typename O::Act> parts,
                       const ConvSpec& conv, const PoolSpec& pool, const BatchNorm<typename O::Weight>& norm,
                       const RecurrentSpec& recurrent, RowPool row_pool) {
  { ops.embed(w, ids) } -> std::same_as<typename O::Act>;   // rows of w[n_vocab, D] -> [T, D]
  { ops.linear(x, w) } -> std::same_as<typename O::Act>;    // x[T, in] w[out, in]^T -> [T, out]
  { ops.add_bias(x, w) } -> std::same_as<typename O::Act>;  // x[T, D] + w[D] in every row
  // x / sqrt(mean(x^2) + eps) * (w + offset). A w[n] shorter than a row is that of heads: every n columns are
  // a vector of their own.
  { ops.rms_norm(x, w, number, number) } -> std::same_as<typename O::Act>;
  // (x - mean(x)) / sqrt(variance(x) + eps) * w + b; b may be null.
  { ops.layer_norm(x, w, &w, number) } -> std::same_as<typename O::Act>;
  { ops.rope(x, batch, rope) } -> std::same_as<typename O::Act>;  // [T, H*d] turned by batch.pos
  // q[T, H*d], k and v [T, K*d] -> [T, H*d]
  { ops.attention(x, x, x, batch, attention) } -> std::same_as<typename O::Act>;
  // The same with a learned bias by distance added to the scores.
  { ops.relative_attention(x, x, x, batch, attention, bias) } -> std::same_as<typename O::Act>;
  // q[T, H*d] to the rows of the source of its own sequence, k and v [U, K*d]; those may be empty when the
  // cache has them. Every row sees its whole source.
  { ops.cross_attention(x, x, x, batch, attention) } -> std::same_as<typename O::Act>;
  // The experts of each row from the router's logits [T, E].
  { ops.route(x, route) } -> std::same_as<typename O::Routing>;
  // What each expert gave for its rows (nothing for an expert without rows) -> their weighted sums [T, D]
  { ops.combine(parts, routing) } -> std::same_as<typename O::Act>;
  { ops.relu(x) } -> std::same_as<typename O::Act>;
  { ops.silu_mul(x, x) } -> std::same_as<typename O::Act>;        // silu(gate) * up
  { ops.gelu_mul(x, x, kind) } -> std::same_as<typename O::Act>;  // gelu(gate) * up
  { ops.gelu(x, kind) } -> std::same_as<typename O::Act>;
  { ops.softcap(x, number) } -> std::same_as<typename O::Act>;  // cap * tanh(x / cap), cap > 0; cap 1 is tanh
  { ops.scale(x, number) } -> std::same_as<typename O::Act>;    // x * number
  { ops.add(x, x) } -> std::same_as<typename O::Act>;
  { ops.take_rows(x, ids) } -> std::same_as<typename O::Act>;  // rows of x
  // columns begin .. begin + count - 1 of x
  { ops.take_columns(x, column, column) } -> std::same_as<typename O::Act>;

  // Of networks. Rows of numbers as batch.features has them -> [T, F]
  { ops.features(batch) } -> std::same_as<typename O::Act>;
  // x[T, C*H*W], w[C', C*k*k] (or [C', C, k, k]), b[C'] -> [T, C'*H'*W']
  { ops.conv2d(x, w, w, conv) } -> std::same_as<typename O::Act>;
  { ops.pool2d(x, pool) } -> std::same_as<typename O::Act>;
  // By the statistics of the batch in passes that train (which updates the kept ones), by the kept ones
  // anywhere else, and where a batch has one number for each channel.
  { ops.batch_norm(x, norm) } -> std::same_as<typename O::Act>;
  // In passes that train: each number is 0 with probability `number`, else x / (1 - number). x elsewhere.
  { ops.dropout(x, number) } -> std::same_as<typename O::Act>;
  // The gates' part from the input [T, gates * units], w[gates * units, units], b[gates * units] -> h
  // [T, units], along each sequence of the batch by itself.
  { ops.recurrent(x, w, w, batch, recurrent) } -> std::same_as<typename O::Act>;
  { ops.pool_rows(x, batch, row_pool) } -> std::same_as<typename O::Act>;  // [T, D] -> [S, D]
  { ops.join_columns(x, x) } -> std::same_as<typename O::Act>;             // [T, A] and [T, B] -> [T, A + B]
};

}  // namespace volant
