// GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each part, fused qkv, GELU by the tanh
// formula, biases everywhere, the head tied to the embedding. Files hold matrices as [in, out] ("Conv1D"). T
// rows, D hidden, F inner, V vocabulary.
#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/blocks/linear.h"

namespace volant {

template <Ops O>
class Gpt2 final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit Gpt2(const ModelConfig& config)
      : config_(config),
        eps_(static_cast<float>(std::get<Gpt2Fields>(config.own).layer_norm_epsilon)),
        layers_(static_cast<size_t>(config.num_hidden_layers)) {}

  void visit(const typename Model<O>::Visitor& f) override {
    const auto& c = config_;
    const int64_t D = c.hidden_size, F = c.intermediate_size;
    f(embedding("transformer.wte.weight", c.vocab_size, D), wte_);
    f(embedding("transformer.wpe.weight", c.max_position_embeddings, D), wpe_);
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      const std::string prefix = "transformer.h." + std::to_string(i) + ".";
      layer.ln_1.visit(prefix + "ln_1", D, f);
      layer.c_attn.visit(conv1d(matrix(prefix + "attn.c_attn.weight", 3 * D, D)), f);
      layer.attn_c_proj.visit(conv1d(residual_matrix(prefix + "attn.c_proj.weight", D, D)), f);
      layer.ln_2.visit(prefix + "ln_2", D, f);
      layer.c_fc.visit(conv1d(matrix(prefix + "mlp.c_fc.weight", F, D)), f);
      layer.mlp_c_proj.visit(conv1d(residual_matrix(prefix + "mlp.c_proj.weight", D, F)), f);
    }
    ln_f_.visit("transformer.ln_f", D, f);
    if (!c.tie_word_embeddings) f(volant::lm_head("lm_head.weight", c.vocab_size, D), lm_head_);
  }

  Act hidden(O& ops, const Batch& batch) const override {
    Act x_TD = ops.add(ops.embed(wte_, batch.tokens), ops.embed(wpe_, batch.pos));
    for (int i = 0; std::cmp_less(i, layers_.size()); ++i)
      x_TD = segment(ops, std::move(x_TD),
                     [this, &batch, i](O& o, const Act& x) { return block(o, batch, i, x); });
    return ln_f_(ops, ops.take_rows(x_TD, batch.out_rows), eps_);
  }

  LmHead<Weight> lm_head() const override {
    return {.weight = config_.tie_word_embeddings ? &wte_ : &lm_head_};
  }

 private:
  struct LayerNorm {
    Weight weight, bias;
    void visit(const std::string& name, int64_t n, const typename Model<O>::Visitor& f) {
      f(norm(name + ".weight", n), weight);
      f(volant::bias(name + ".bias", n), bias);
    }
    Act operator()(O& ops, const Act& x, float eps) const { return ops.layer_norm(x, weight, &bias, eps); }
  };
  struct Layer {
    LayerNorm ln_1, ln_2;
    Linear<O> c_attn{true}, attn_c_proj{true}, c_fc{true}, mlp_c_proj{true};
  };

  static TensorSpec conv1d(TensorSpec spec) {
    spec.transposed = true;
    return spec;
  }

  Act block(O& ops, const Batch& batch, int index, const Act& x_TD) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const Act y_TD = ops.add(x_TD, attend(ops, batch, index, layer.ln_1(ops, x_TD, eps_)));
    const Act h_TF = ops.gelu(layer.c_fc(ops, layer.ln_2(ops, y_TD, eps_)), Gelu::kTanh);
    return ops.add(y_TD, layer.mlp_c_proj(ops, h_TF));
  }

  Act attend(O& ops, const Batch& batch, int index, const Act& h_TD) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const Act qkv = layer.c_attn(ops, h_TD);
    const int64_t D = config_.hidden_size;
    const int n_head = static_cast<int>(config_.num_attention_heads);
    const AttentionSpec spec{.layer = index,
                             .n_head = n_head,
                             .n_kv_head = n_head,
                             .head_dim = static_cast<int>(config_.head_dim),
                             .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim))};
    const Act mixed_TD = ops.attention(ops.take_columns(qkv, 0, D), ops.take_columns(qkv, D, D),
                                       ops.take_columns(qkv, 2 * D, D), batch, spec);
    return layer.attn_c_proj(ops, mixed_TD);
  }

  ModelConfig config_;
  float eps_;
  Weight wte_, wpe_, lm_head_;
  std::vector<Layer> layers_;
  LayerNorm ln_f_;
};

}  // namespace volant
