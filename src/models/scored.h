// A decoder with labels in place of the next token: a class of the sequence or a reward, read from its last
// row, or a class of every row (Hugging Face's ...ForSequenceClassification and ...ForTokenClassification).
// One wrapper for every family. R rows read out, D hidden, L labels.
#pragma once
#include <memory>
#include <utility>

#include "models/model.h"

namespace volant {

template <Ops O>
class Scored final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  Scored(const ModelConfig& config, std::unique_ptr<Model<O>> decoder)
      : decoder_(std::move(decoder)),
        n_hidden_(config.hidden_size),
        n_label_(static_cast<int64_t>(config.labels.size())),
        has_bias_(config.architecture.ends_with("ForTokenClassification")) {}

  void visit(const typename Model<O>::Visitor& f) override {
    decoder_->visit([&](const TensorSpec& spec, Weight& weight) {
      if (spec.role != TensorRole::kHead) f(spec, weight);
    });
    f(volant::lm_head("score.weight", n_label_, n_hidden_), score_);
    if (has_bias_) f(bias("score.bias", n_label_), score_bias_);
  }

  Act hidden(O& ops, const Batch& batch) const override { return decoder_->hidden(ops, batch); }

  Act output(O& ops, const Batch& batch) const override {
    Act score_RL = ops.linear(hidden(ops, batch), score_);
    return has_bias_ ? ops.add_bias(score_RL, score_bias_) : std::move(score_RL);
  }

 private:
  std::unique_ptr<Model<O>> decoder_;
  int64_t n_hidden_, n_label_;
  bool has_bias_;
  Weight score_, score_bias_;
};

}  // namespace volant
