// Llama (Touvron et al. 2023; grouped-query attention, RoPE, RMSNorm, SwiGLU;
// tied or untied head), written once. T rows, D hidden, F intermediate, H
// heads, K key/value heads, d head_dim, V vocabulary, R rows read out.
#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/llama_config.h"
#include "ops/ops.h"

namespace volant {

template <Ops O>
class Llama {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit Llama(const LlamaConfig& config)
      : config_(config),
        layers_(static_cast<size_t>(config.num_hidden_layers)),
        rope_q_(rope_of(config, config.num_attention_heads)),
        rope_k_(rope_of(config, config.num_key_value_heads)) {}

  const LlamaConfig& config() const { return config_; }

  // Names every tensor once, by its Hugging Face name, with its shape: f(name, shape, weight).
  template <class F>
  static void visit(auto& self, F&& f) {
    const auto& c = self.config_;
    const int64_t q_rows = c.num_attention_heads * c.head_dim, kv_rows = c.num_key_value_heads * c.head_dim;
    using Shape = std::vector<int64_t>;
    f("model.embed_tokens.weight", Shape{c.vocab_size, c.hidden_size}, self.embed_tokens_);
    for (size_t i = 0; i < self.layers_.size(); ++i) {
      auto& layer = self.layers_[i];
      const std::string prefix = "model.layers." + std::to_string(i) + ".";
      f(prefix + "input_layernorm.weight", Shape{c.hidden_size}, layer.input_layernorm);
      f(prefix + "self_attn.q_proj.weight", Shape{q_rows, c.hidden_size}, layer.q_proj);
      f(prefix + "self_attn.k_proj.weight", Shape{kv_rows, c.hidden_size}, layer.k_proj);
      f(prefix + "self_attn.v_proj.weight", Shape{kv_rows, c.hidden_size}, layer.v_proj);
      f(prefix + "self_attn.o_proj.weight", Shape{c.hidden_size, q_rows}, layer.o_proj);
      f(prefix + "post_attention_layernorm.weight", Shape{c.hidden_size}, layer.post_attention_layernorm);
      f(prefix + "mlp.gate_proj.weight", Shape{c.intermediate_size, c.hidden_size}, layer.gate_proj);
      f(prefix + "mlp.up_proj.weight", Shape{c.intermediate_size, c.hidden_size}, layer.up_proj);
      f(prefix + "mlp.down_proj.weight", Shape{c.hidden_size, c.intermediate_size}, layer.down_proj);
    }
    f("model.norm.weight", Shape{c.hidden_size}, self.norm_);
    if (!c.tie_word_embeddings) f("lm_head.weight", Shape{c.vocab_size, c.hidden_size}, self.lm_head_);
  }

  // Hidden states of the rows that are read out, after the last norm: [R, D].
  Act hidden(O& ops, const Batch& batch) const {
    Act x_TD = ops.embed(embed_tokens_, batch.tokens);
    for (size_t i = 0; i < layers_.size(); ++i)
      x_TD = block(ops, batch, static_cast<int>(i), std::move(x_TD));
    return ops.rms_norm(ops.take_rows(x_TD, batch.out_rows), norm_, eps());
  }

  // The head: the weight that turns hidden states into logits.
  const Weight& head() const { return config_.tie_word_embeddings ? embed_tokens_ : lm_head_; }

  // Logits [R, V].
  Act logits(O& ops, const Batch& batch) const { return ops.linear(hidden(ops, batch), head()); }

 private:
  struct Layer {
    Weight input_layernorm, q_proj, k_proj, v_proj, o_proj;
    Weight post_attention_layernorm, gate_proj, up_proj, down_proj;
  };

  Act block(O& ops, const Batch& batch, int index, Act x_TD) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    x_TD = ops.add(x_TD, attend(ops, batch, index, ops.rms_norm(x_TD, layer.input_layernorm, eps())));
    const Act h_TD = ops.rms_norm(x_TD, layer.post_attention_layernorm, eps());
    const Act h_TF = ops.silu_mul(ops.linear(h_TD, layer.gate_proj), ops.linear(h_TD, layer.up_proj));
    return ops.add(x_TD, ops.linear(h_TF, layer.down_proj));
  }

  Act attend(O& ops, const Batch& batch, int index, const Act& h_TD) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const int n_head = static_cast<int>(config_.num_attention_heads);
    const int n_kv_head = static_cast<int>(config_.num_key_value_heads);
    const Act q_THd = ops.rope(ops.linear(h_TD, layer.q_proj), batch, rope_q_);
    const Act k_TKd = ops.rope(ops.linear(h_TD, layer.k_proj), batch, rope_k_);
    const Act v_TKd = ops.linear(h_TD, layer.v_proj);
    const AttentionSpec spec{.layer = index,
                             .n_head = n_head,
                             .n_kv_head = n_kv_head,
                             .head_dim = static_cast<int>(config_.head_dim),
                             .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim))};
    return ops.linear(ops.attention(q_THd, k_TKd, v_TKd, batch, spec), layer.o_proj);
  }

  static RopeSpec rope_of(const LlamaConfig& config, int64_t n_head) {
    return {.n_head = static_cast<int>(n_head),
            .head_dim = static_cast<int>(config.head_dim),
            .inv_freq = config.rope_inv_freq()};
  }
  float eps() const { return static_cast<float>(config_.rms_norm_eps); }

  LlamaConfig config_;
  Weight embed_tokens_, norm_, lm_head_;
  std::vector<Layer> layers_;
  RopeSpec rope_q_, rope_k_;
};

}  // namespace volant
