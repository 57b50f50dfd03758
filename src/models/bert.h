// BERT (Devlin et al. 2018; MiniLM, Wang et al. 2020, is a small one): an encoder whose rows see their whole
// sequence; learned positions, token types, norms after each sum. With heads: a class for a sequence, read
// from its first row through the pooler, or one for every row; or the masked words.
// T rows, D hidden, F intermediate, H heads, d head_dim, V vocabulary, R rows read out, L labels.
#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"

namespace volant {

template <Ops O>
class Bert final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit Bert(const ModelConfig& config)
      : config_(config),
        own_(std::get<BertFields>(config.own)),
        layers_(static_cast<size_t>(config.num_hidden_layers)) {}

  void visit(const typename Model<O>::Visitor& f) override {
    const auto& c = config_;
    const int64_t D = c.hidden_size, F = c.intermediate_size;
    const std::string root = c.output == ModelOutput::kHidden ? "" : "bert.";
    f(embedding(root + "embeddings.word_embeddings.weight", c.vocab_size, D), words_);
    f(embedding(root + "embeddings.position_embeddings.weight", c.max_position_embeddings, D), positions_);
    f(embedding(root + "embeddings.token_type_embeddings.weight", own_.type_vocab_size, D), token_types_);
    visit_norm(f, root + "embeddings.LayerNorm", D, embeddings_norm_);
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      const std::string prefix = root + "encoder.layer." + std::to_string(i) + ".";
      visit_linear(f, prefix + "attention.self.query", D, D, layer.query);
      visit_linear(f, prefix + "attention.self.key", D, D, layer.key);
      visit_linear(f, prefix + "attention.self.value", D, D, layer.value);
      visit_linear(f, prefix + "attention.output.dense", D, D, layer.attention_output);
      visit_norm(f, prefix + "attention.output.LayerNorm", D, layer.attention_norm);
      visit_linear(f, prefix + "intermediate.dense", F, D, layer.intermediate);
      visit_linear(f, prefix + "output.dense", D, F, layer.output);
      visit_norm(f, prefix + "output.LayerNorm", D, layer.output_norm);
    }
    if (own_.pooler) visit_linear(f, root + "pooler.dense", D, D, pooler_);
    if (c.output == ModelOutput::kLabels) {
      const auto n_label = static_cast<int64_t>(c.labels.size());
      f(volant::lm_head("classifier.weight", n_label, D), classifier_.weight);
      f(bias("classifier.bias", n_label), classifier_.bias);
    }
    if (c.output == ModelOutput::kNextToken) {
      visit_linear(f, "cls.predictions.transform.dense", D, D, transform_);
      visit_norm(f, "cls.predictions.transform.LayerNorm", D, transform_norm_);
      f(bias("cls.predictions.bias", c.vocab_size), words_bias_);
    }
  }

  // The rows read out after the last layer; of the masked words, after the head's own layer.
  Act hidden(O& ops, const Batch& batch) const override {
    Act x_TD = embed(ops, batch);
    for (int i = 0; std::cmp_less(i, layers_.size()); ++i)
      x_TD = segment(ops, std::move(x_TD),
                     [this, &batch, i](O& o, const Act& x) { return block(o, batch, i, x); });
    Act x_RD = ops.take_rows(x_TD, batch.out_rows);
    if (config_.output != ModelOutput::kNextToken) return x_RD;
    return normed(ops, ops.gelu(linear(ops, x_RD, transform_), gelu()), transform_norm_);
  }

  LmHead<Weight> lm_head() const override {
    if (config_.output != ModelOutput::kNextToken) return {};
    return {.weight = &words_, .bias = &words_bias_};
  }

  Act output(O& ops, const Batch& batch) const override {
    if (config_.output != ModelOutput::kLabels) return Model<O>::output(ops, batch);
    Act x_RD = hidden(ops, batch);
    if (own_.pooler) x_RD = ops.softcap(linear(ops, x_RD, pooler_), 1);  // tanh
    return linear(ops, x_RD, classifier_);
  }

 private:
  struct Linear {
    Weight weight, bias;
  };
  struct Norm {
    Weight weight, bias;
  };
  struct Layer {
    Linear query, key, value, attention_output, intermediate, output;
    Norm attention_norm, output_norm;
  };

  void visit_linear(const typename Model<O>::Visitor& f, const std::string& name, int64_t n_out, int64_t n_in,
                    Linear& to) {
    f(matrix(name + ".weight", n_out, n_in), to.weight);
    f(bias(name + ".bias", n_out), to.bias);
  }
  void visit_norm(const typename Model<O>::Visitor& f, const std::string& name, int64_t n, Norm& to) {
    f(norm(name + ".weight", n), to.weight);
    f(bias(name + ".bias", n), to.bias);
  }

  Act embed(O& ops, const Batch& batch) const {
    const std::vector<int32_t> zeros(batch.token_types.empty() ? batch.tokens.size() : 0);
    const Act word_TD = ops.embed(words_, batch.tokens);
    const Act place_TD = ops.embed(positions_, batch.pos);
    const Act type_TD = ops.embed(token_types_, batch.token_types.empty() ? zeros : batch.token_types);
    return normed(ops, ops.add(ops.add(word_TD, type_TD), place_TD), embeddings_norm_);
  }

  Act block(O& ops, const Batch& batch, int index, const Act& x_TD) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const Act a_TD = linear(ops, attend(ops, batch, index, x_TD), layer.attention_output);
    const Act y_TD = normed(ops, ops.add(x_TD, a_TD), layer.attention_norm);
    const Act h_TF = ops.gelu(linear(ops, y_TD, layer.intermediate), gelu());
    return normed(ops, ops.add(y_TD, linear(ops, h_TF, layer.output)), layer.output_norm);
  }

  Act attend(O& ops, const Batch& batch, int index, const Act& x_TD) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const int n_head = static_cast<int>(config_.num_attention_heads);
    const AttentionSpec spec{.layer = index,
                             .n_head = n_head,
                             .n_kv_head = n_head,
                             .head_dim = static_cast<int>(config_.head_dim),
                             .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
                             .causal = false};
    return ops.attention(linear(ops, x_TD, layer.query), linear(ops, x_TD, layer.key),
                         linear(ops, x_TD, layer.value), batch, spec);
  }

  Act linear(O& ops, const Act& x, const Linear& w) const {
    return ops.add_bias(ops.linear(x, w.weight), w.bias);
  }
  Act normed(O& ops, const Act& x, const Norm& w) const {
    return ops.layer_norm(x, w.weight, &w.bias, static_cast<float>(own_.layer_norm_eps));
  }
  Gelu gelu() const { return own_.tanh_gelu ? Gelu::kTanh : Gelu::kErf; }

  ModelConfig config_;
  BertFields own_;
  Weight words_, positions_, token_types_, words_bias_;
  Norm embeddings_norm_, transform_norm_;
  std::vector<Layer> layers_;
  Linear pooler_, classifier_, transform_;
};

}  // namespace volant
