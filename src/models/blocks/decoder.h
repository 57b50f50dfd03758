// The frame of decoders that follow Llama's names: "model.embed_tokens", "model.layers.<i>", "model.norm",
// "lm_head". A family adds its layers. T rows, D hidden, V vocabulary.
//   Layer(config, index); visit(prefix, f); Act operator()(ops, batch, x_TD)
//   static DecoderText decoder(config)
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "models/blocks/rms_norm.h"

namespace volant {

struct DecoderText {
  RmsNormText norm;
  float embedding_scale = 1;
  float logit_softcap = 0;  // 0: none
};

template <Ops O, class Layer>
class Decoder final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit Decoder(const ModelConfig& config)
      : config_(config), text_(Layer::decoder(config)), norm_(text_.norm) {
    for (int i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(config, i);
  }

  void visit(const typename Model<O>::Visitor& f) override {
    const auto& c = config_;
    f(embedding("model.embed_tokens.weight", c.vocab_size, c.hidden_size), embed_tokens_);
    for (size_t i = 0; i < layers_.size(); ++i)
      layers_[i].visit("model.layers." + std::to_string(i) + ".", f);
    norm_.visit("model.norm.weight", c.hidden_size, f);
    if (!c.tie_word_embeddings) f(volant::lm_head("lm_head.weight", c.vocab_size, c.hidden_size), lm_head_);
  }

  Act hidden(O& ops, const Batch& batch) const override {
    Act x_TD = ops.embed(embed_tokens_, batch.tokens);
    if (text_.embedding_scale != 1) x_TD = ops.scale(x_TD, text_.embedding_scale);
    for (const Layer& layer : layers_)
      x_TD = segment(ops, std::move(x_TD),
                     [&layer, &batch](O& o, Act x) { return layer(o, batch, std::move(x)); });
    return norm_(ops, ops.take_rows(x_TD, batch.out_rows));
  }

  LmHead<Weight> lm_head() const override {
    return {.weight = config_.tie_word_embeddings ? &embed_tokens_ : &lm_head_,
            .softcap = text_.logit_softcap};
  }

 private:
  ModelConfig config_;
  DecoderText text_;
  Weight embed_tokens_, lm_head_;
  std::vector<Layer> layers_;
  RmsNorm<O> norm_;
};

}  // namespace volant
