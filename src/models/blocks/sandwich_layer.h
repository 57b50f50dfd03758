// The layer of Gemma 2 and 3, with a norm before and after each part: x += norm(attention(norm(x)));
// x += norm(mlp(norm(x))). `Text` is that of PreNormLayer.
#pragma once
#include <string>

#include "models/blocks/decoder.h"
#include "models/blocks/gated_mlp.h"
#include "models/blocks/self_attention.h"

namespace volant {

template <Ops O, class Text>
class SandwichLayer {
 public:
  using Act = typename O::Act;

  SandwichLayer(const ModelConfig& c, int index)
      : hidden_size_(c.hidden_size),
        input_layernorm_(decoder(c).norm),
        post_attention_layernorm_(decoder(c).norm),
        pre_feedforward_layernorm_(decoder(c).norm),
        post_feedforward_layernorm_(decoder(c).norm),
        self_attn_(Text::attention(c, index)),
        mlp_(Text::mlp(c)) {}

  static DecoderText decoder(const ModelConfig& c) { return Text::decoder(c); }

  void visit(const std::string& prefix, const typename Model<O>::Visitor& f) {
    const int64_t D = hidden_size_;
    input_layernorm_.visit(prefix + "input_layernorm.weight", D, f);
    self_attn_.visit(prefix + "self_attn.", D, f);
    post_attention_layernorm_.visit(prefix + "post_attention_layernorm.weight", D, f);
    pre_feedforward_layernorm_.visit(prefix + "pre_feedforward_layernorm.weight", D, f);
    mlp_.visit(prefix + "mlp.", f);
    post_feedforward_layernorm_.visit(prefix + "post_feedforward_layernorm.weight", D, f);
  }

  Act operator()(O& ops, const Batch& batch, Act x_TD) const {
    const Act a_TD = self_attn_(ops, batch, input_layernorm_(ops, x_TD));
    x_TD = ops.add(x_TD, post_attention_layernorm_(ops, a_TD));
    const Act m_TD = mlp_(ops, pre_feedforward_layernorm_(ops, x_TD));
    return ops.add(x_TD, post_feedforward_layernorm_(ops, m_TD));
  }

 private:
  int64_t hidden_size_;
  RmsNorm<O> input_layernorm_, post_attention_layernorm_, pre_feedforward_layernorm_,
      post_feedforward_layernorm_;
  SelfAttention<O> self_attn_;
  GatedMlp<O> mlp_;
};

}  // namespace volant
