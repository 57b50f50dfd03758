// T5 (Raffel et al. 2019; v1.1 and Flan with gated gelu): an encoder reads the source, a decoder writes with
// attention to itself and to the source. Distances between rows count through a learned bias of each head,
// shared by the layers of a stack; scores are not scaled; the first T5 scales what its tied head reads by
// D^-0.5. T rows, U rows of sources, D hidden, F intermediate, H heads, d head_dim, V vocabulary, R rows read
// out.
#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"

namespace volant {

template <Ops O>
class T5 final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit T5(const ModelConfig& config)
      : config_(config),
        own_(std::get<T5Fields>(config.own)),
        encoder_(static_cast<size_t>(config.num_hidden_layers)),
        decoder_(static_cast<size_t>(own_.num_decoder_layers)) {}

  void visit(const typename Model<O>::Visitor& f) override {
    f(embedding("shared.weight", config_.vocab_size, config_.hidden_size), shared_);
    visit_stack(f, "encoder.", encoder_, false);
    visit_stack(f, "decoder.", decoder_, true);
    if (!config_.tie_word_embeddings)
      f(volant::lm_head("lm_head.weight", config_.vocab_size, config_.hidden_size), lm_head_);
  }

  Act hidden(O& ops, const Batch& batch) const override {
    // Sources that were read before stand in the cache.
    const Act source_UD = batch.source.tokens.empty() ? Act() : encode(ops, batch.source);
    Act x_TD = ops.embed(shared_, batch.tokens);
    for (size_t i = 0; i < decoder_.layers.size(); ++i) {
      const Layer& layer = decoder_.layers[i];
      x_TD = ops.add(
          x_TD, self_attend(ops, batch, decoder_, static_cast<int>(i), true, normed(ops, x_TD, layer.norm)));
      x_TD = ops.add(x_TD, cross_attend(ops, batch, static_cast<int>(i), normed(ops, x_TD, layer.cross_norm),
                                        source_UD));
      x_TD = ops.add(x_TD, feed_forward(ops, layer, x_TD));
    }
    return normed(ops, ops.take_rows(x_TD, batch.out_rows), decoder_.final_norm);
  }

  LmHead<Weight> lm_head() const override {
    return {
        .weight = config_.tie_word_embeddings ? &shared_ : &lm_head_,
        .scale = own_.scale_decoder_outputs ? 1.0F / std::sqrt(static_cast<float>(config_.hidden_size)) : 1};
  }

 private:
  struct Attention {
    Weight q, k, v, o;
  };
  struct Layer {
    Attention self, cross;
    Weight norm, cross_norm, feed_forward_norm, wi, wi_gate, wo;
  };
  struct Stack {
    explicit Stack(size_t n) : layers(n) {}
    std::vector<Layer> layers;
    Weight relative_bias, final_norm;
  };

  void visit_stack(const typename Model<O>::Visitor& f, const std::string& root, Stack& stack, bool decodes) {
    const int64_t D = config_.hidden_size, F = config_.intermediate_size;
    for (size_t i = 0; i < stack.layers.size(); ++i) {
      Layer& layer = stack.layers[i];
      const std::string prefix = root + "block." + std::to_string(i) + ".layer.";
      visit_attention(f, prefix + "0.SelfAttention.", layer.self);
      if (i == 0)
        f(embedding(prefix + "0.SelfAttention.relative_attention_bias.weight",
                    own_.relative_attention_num_buckets, config_.num_attention_heads),
          stack.relative_bias);
      f(norm(prefix + "0.layer_norm.weight", D), layer.norm);
      if (decodes) {
        visit_attention(f, prefix + "1.EncDecAttention.", layer.cross);
        f(norm(prefix + "1.layer_norm.weight", D), layer.cross_norm);
      }
      const std::string last = prefix + (decodes ? "2." : "1.");
      if (own_.gated_gelu) f(matrix(last + "DenseReluDense.wi_0.weight", F, D), layer.wi_gate);
      f(matrix(last + "DenseReluDense." + (own_.gated_gelu ? "wi_1" : "wi") + ".weight", F, D), layer.wi);
      f(residual_matrix(last + "DenseReluDense.wo.weight", D, F), layer.wo);
      f(norm(last + "layer_norm.weight", D), layer.feed_forward_norm);
    }
    f(norm(root + "final_layer_norm.weight", D), stack.final_norm);
  }

  void visit_attention(const typename Model<O>::Visitor& f, const std::string& prefix, Attention& to) {
    const int64_t D = config_.hidden_size, n = config_.num_attention_heads * config_.head_dim;
    f(matrix(prefix + "q.weight", n, D), to.q);
    f(matrix(prefix + "k.weight", n, D), to.k);
    f(matrix(prefix + "v.weight", n, D), to.v);
    f(residual_matrix(prefix + "o.weight", D, n), to.o);
  }

  Act encode(O& ops, const Source& source) const {
    const Batch batch = source.as_batch();
    Act x_UD = ops.embed(shared_, batch.tokens);
    for (int i = 0; std::cmp_less(i, encoder_.layers.size()); ++i)
      x_UD = segment(ops, std::move(x_UD),
                     [this, batch, i](O& o, const Act& x) { return encoder_block(o, batch, i, x); });
    return normed(ops, x_UD, encoder_.final_norm);
  }

  Act encoder_block(O& ops, const Batch& batch, int index, const Act& x_UD) const {
    const Layer& layer = encoder_.layers[static_cast<size_t>(index)];
    const Act y_UD =
        ops.add(x_UD, self_attend(ops, batch, encoder_, index, false, normed(ops, x_UD, layer.norm)));
    return ops.add(y_UD, feed_forward(ops, layer, y_UD));
  }

  Act self_attend(O& ops, const Batch& batch, const Stack& stack, int index, bool causal,
                  const Act& h_TD) const {
    const Attention& w = stack.layers[static_cast<size_t>(index)].self;
    const RelativeBias<Weight> bias{.weight = &stack.relative_bias,
                                    .n_bucket = static_cast<int>(own_.relative_attention_num_buckets),
                                    .max_distance = static_cast<int>(own_.relative_attention_max_distance),
                                    .both_ways = !causal};
    return ops.linear(ops.relative_attention(ops.linear(h_TD, w.q), ops.linear(h_TD, w.k),
                                             ops.linear(h_TD, w.v), batch, spec(index, causal), bias),
                      w.o);
  }

  // Every row sees the whole source; distances do not count. Its keys have layers of the cache of their own.
  Act cross_attend(O& ops, const Batch& batch, int index, const Act& h_TD, const Act& source_UD) const {
    const Attention& w = decoder_.layers[static_cast<size_t>(index)].cross;
    const bool given = !batch.source.tokens.empty();
    const Act k_UHd = given ? ops.linear(source_UD, w.k) : Act(),
              v_UHd = given ? ops.linear(source_UD, w.v) : Act();
    const int n_layer = static_cast<int>(own_.num_decoder_layers);
    return ops.linear(
        ops.cross_attention(ops.linear(h_TD, w.q), k_UHd, v_UHd, batch, spec(n_layer + index, false)), w.o);
  }

  Act feed_forward(O& ops, const Layer& layer, const Act& x_TD) const {
    const Act h_TD = normed(ops, x_TD, layer.feed_forward_norm);
    const Act up_TF = ops.linear(h_TD, layer.wi);
    return ops.linear(
        own_.gated_gelu ? ops.gelu_mul(ops.linear(h_TD, layer.wi_gate), up_TF, Gelu::kTanh) : ops.relu(up_TF),
        layer.wo);
  }

  Act normed(O& ops, const Act& x, const Weight& w) const {
    return ops.rms_norm(x, w, static_cast<float>(own_.layer_norm_epsilon), 0);
  }
  AttentionSpec spec(int layer, bool causal) const {
    const int n_head = static_cast<int>(config_.num_attention_heads);
    return {.layer = layer,
            .n_head = n_head,
            .n_kv_head = n_head,
            .head_dim = static_cast<int>(config_.head_dim),
            .causal = causal};
  }

  ModelConfig config_;
  T5Fields own_;
  Weight shared_, lm_head_;
  Stack encoder_, decoder_;
};

}  // namespace volant
