// Llama (Touvron et al. 2023; grouped-query attention, RoPE, RMSNorm, SwiGLU;
// tied or untied head), written once. T rows, D hidden, F intermediate, H
// heads, K key/value heads, d head_dim, V vocabulary, R rows read out.
#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"

namespace volant {

template <Ops O>
class Llama final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit Llama(const ModelConfig& config)
      : config_(config),
        own_(std::get<LlamaFields>(config.own)),
        layers_(static_cast<size_t>(config.num_hidden_layers)),
        rope_q_(rope_of(config, own_, config.num_attention_heads)),
        rope_k_(rope_of(config, own_, config.num_key_value_heads)) {}

  void visit(const typename Model<O>::Visitor& f) override {
    const auto& c = config_;
    const int64_t D = c.hidden_size, F = c.intermediate_size;
    const int64_t q_rows = c.num_attention_heads * c.head_dim, kv_rows = c.num_key_value_heads * c.head_dim;
    f(embedding("model.embed_tokens.weight", c.vocab_size, D), embed_tokens_);
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      const std::string prefix = "model.layers." + std::to_string(i) + ".";
      f(norm(prefix + "input_layernorm.weight", D), layer.input_layernorm);
      f(matrix(prefix + "self_attn.q_proj.weight", q_rows, D), layer.q_proj);
      f(matrix(prefix + "self_attn.k_proj.weight", kv_rows, D), layer.k_proj);
      f(matrix(prefix + "self_attn.v_proj.weight", kv_rows, D), layer.v_proj);
      f(residual_matrix(prefix + "self_attn.o_proj.weight", D, q_rows), layer.o_proj);
      f(norm(prefix + "post_attention_layernorm.weight", D), layer.post_attention_layernorm);
      f(matrix(prefix + "mlp.gate_proj.weight", F, D), layer.gate_proj);
      f(matrix(prefix + "mlp.up_proj.weight", F, D), layer.up_proj);
      f(residual_matrix(prefix + "mlp.down_proj.weight", D, F), layer.down_proj);
    }
    f(norm("model.norm.weight", D), norm_);
    if (!c.tie_word_embeddings) f(volant::lm_head("lm_head.weight", c.vocab_size, D), lm_head_);
  }

  Act hidden(O& ops, const Batch& batch) const override {
    Act x_TD = ops.embed(embed_tokens_, batch.tokens);
    for (size_t i = 0; i < layers_.size(); ++i)
      x_TD = block(ops, batch, static_cast<int>(i), std::move(x_TD));
    return ops.rms_norm(ops.take_rows(x_TD, batch.out_rows), norm_, eps());
  }

  LmHead<Weight> lm_head() const override {
    return {.weight = config_.tie_word_embeddings ? &embed_tokens_ : &lm_head_};
  }

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

  static RopeSpec rope_of(const ModelConfig& config, const LlamaFields& own, int64_t n_head) {
    return {.n_head = static_cast<int>(n_head),
            .head_dim = static_cast<int>(config.head_dim),
            .inv_freq = own.rope.inv_freq(config.head_dim)};
  }
  float eps() const { return static_cast<float>(own_.rms_norm_eps); }

  ModelConfig config_;
  LlamaFields own_;
  Weight embed_tokens_, norm_, lm_head_;
  std::vector<Layer> layers_;
  RopeSpec rope_q_, rope_k_;
};

}  // namespace volant
