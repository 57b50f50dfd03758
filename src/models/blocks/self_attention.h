// Self-attention of decoders with rotary positions and grouped queries (Ainslie et al. 2023), under the names
// "q_proj", "k_proj", "v_proj", "o_proj" or the fused "qkv_proj". T rows, D hidden, H heads, K key/value
// heads, d head_dim.
#pragma once
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "models/blocks/linear.h"
#include "models/blocks/rms_norm.h"
#include "models/rope_config.h"

namespace volant {

// How a family's attention differs from the plain one.
struct SelfAttentionText {
  AttentionSpec attention;
  RopeConfig rope;
  int64_t n_turned = 0;  // dimensions of a head that RoPE turns
  bool qkv_bias = false, o_bias = false;
  bool fused = false;                     // q, k and v are rows of one matrix
  std::optional<RmsNormText> head_norms;  // of each head's query and key, before RoPE
};

// Without bias and norms, every dimension turned, every position seen, scores over sqrt(head_dim).
inline SelfAttentionText plain_attention(const ModelConfig& c, int layer, const RopeConfig& rope) {
  SelfAttentionText text;
  text.attention = {.layer = layer,
                    .n_head = static_cast<int>(c.num_attention_heads),
                    .n_kv_head = static_cast<int>(c.num_key_value_heads),
                    .head_dim = static_cast<int>(c.head_dim),
                    .scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim))};
  text.rope = rope;
  text.n_turned = c.head_dim;
  return text;
}

template <Ops O>
class SelfAttention {
 public:
  using Act = typename O::Act;

  explicit SelfAttention(const SelfAttentionText& text)
      : text_(text),
        q_or_qkv_(text.qkv_bias),
        k_(text.qkv_bias),
        v_(text.qkv_bias),
        o_(text.o_bias),
        q_norm_(text.head_norms.value_or(RmsNormText{})),
        k_norm_(text.head_norms.value_or(RmsNormText{})),
        rope_q_{.n_head = text.attention.n_head,
                .head_dim = text.attention.head_dim,
                .inv_freq = text.rope.inv_freq(text.n_turned),
                .scale = text.rope.turned_scale()},
        rope_k_(rope_q_) {
    rope_k_.n_head = text.attention.n_kv_head;
  }

  void visit(const std::string& prefix, int64_t hidden_size, const typename Model<O>::Visitor& f) {
    const int64_t D = hidden_size, Hd = q_columns(), Kd = kv_columns();
    if (text_.fused) {
      q_or_qkv_.visit(matrix(prefix + "qkv_proj.weight", Hd + 2 * Kd, D), f);
    } else {
      q_or_qkv_.visit(matrix(prefix + "q_proj.weight", Hd, D), f);
      k_.visit(matrix(prefix + "k_proj.weight", Kd, D), f);
      v_.visit(matrix(prefix + "v_proj.weight", Kd, D), f);
    }
    o_.visit(residual_matrix(prefix + "o_proj.weight", D, Hd), f);
    if (!text_.head_norms) return;
    q_norm_.visit(prefix + "q_norm.weight", text_.attention.head_dim, f);
    k_norm_.visit(prefix + "k_norm.weight", text_.attention.head_dim, f);
  }

  Act operator()(O& ops, const Batch& batch, const Act& h_TD) const {
    auto [q_THd, k_TKd, v_TKd] = project(ops, h_TD);
    if (text_.head_norms) {
      q_THd = q_norm_(ops, q_THd);
      k_TKd = k_norm_(ops, k_TKd);
    }
    q_THd = ops.rope(q_THd, batch, rope_q_);
    k_TKd = ops.rope(k_TKd, batch, rope_k_);
    return o_(ops, ops.attention(q_THd, k_TKd, v_TKd, batch, text_.attention));
  }

 private:
  struct Projected {
    Act q_THd, k_TKd, v_TKd;
  };
  Projected project(O& ops, const Act& h_TD) const {
    if (!text_.fused) return {q_or_qkv_(ops, h_TD), k_(ops, h_TD), v_(ops, h_TD)};
    const Act all = q_or_qkv_(ops, h_TD);
    const int64_t Hd = q_columns(), Kd = kv_columns();
    return {ops.take_columns(all, 0, Hd), ops.take_columns(all, Hd, Kd), ops.take_columns(all, Hd + Kd, Kd)};
  }
  int64_t q_columns() const { return int64_t{text_.attention.n_head} * text_.attention.head_dim; }
  int64_t kv_columns() const { return int64_t{text_.attention.n_kv_head} * text_.attention.head_dim; }

  SelfAttentionText text_;
  Linear<O> q_or_qkv_, k_, v_, o_;
  RmsNorm<O> q_norm_, k_norm_;
  RopeSpec rope_q_, rope_k_;
};

}  // namespace volant
