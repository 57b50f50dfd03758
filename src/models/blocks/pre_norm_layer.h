// The layer of Llama and its relatives: x += attention(norm(x)); x += mlp(norm(x)). `Text` says what is a
// family's own:
//   static DecoderText decoder(config); static SelfAttentionText attention(config, layer); static auto
//   mlp(config)
#pragma once
#include <string>

#include "models/blocks/decoder.h"
#include "models/blocks/gated_mlp.h"
#include "models/blocks/self_attention.h"

namespace volant {

template <Ops O, class Text, class Mlp = GatedMlp<O>>
class PreNormLayer {
 public:
  using Act = typename O::Act;

  PreNormLayer(const ModelConfig& c, int index)
      : hidden_size_(c.hidden_size),
        input_layernorm_(decoder(c).norm),
        self_attn_(Text::attention(c, index)),
        post_attention_layernorm_(decoder(c).norm),
        mlp_(Text::mlp(c)) {}

  static DecoderText decoder(const ModelConfig& c) { return Text::decoder(c); }

  void visit(const std::string& prefix, const typename Model<O>::Visitor& f) {
    input_layernorm_.visit(prefix + "input_layernorm.weight", hidden_size_, f);
    self_attn_.visit(prefix + "self_attn.", hidden_size_, f);
    post_attention_layernorm_.visit(prefix + "post_attention_layernorm.weight", hidden_size_, f);
    mlp_.visit(prefix + mlp_.name(), f);
  }

  Act operator()(O& ops, const Batch& batch, Act x_TD) const {
    x_TD = ops.add(x_TD, self_attn_(ops, batch, input_layernorm_(ops, x_TD)));
    return ops.add(x_TD, mlp_(ops, post_attention_layernorm_(ops, x_TD)));
  }

 private:
  int64_t hidden_size_;
  RmsNorm<O> input_layernorm_;
  SelfAttention<O> self_attn_;
  RmsNorm<O> post_attention_layernorm_;
  Mlp mlp_;
};

}  // namespace volant
