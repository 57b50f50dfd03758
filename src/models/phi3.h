// Phi-3 (Abdin et al. 2024): Llama with q, k, v and gate, up in fused matrices, RoPE on a part of each head,
// and a sliding window where the configuration asks for one.
#pragma once
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct Phi3Text {
  static const Phi3Fields& own(const ModelConfig& c) { return std::get<Phi3Fields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.fused = true;
    text.n_turned = own(c).n_turned(c.head_dim);
    text.attention.window = static_cast<int>(own(c).sliding_window);
    return text;
  }
  static GatedMlpText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .intermediate_size = c.intermediate_size, .fused = true};
  }
};

template <Ops O>
using Phi3 = Decoder<O, PreNormLayer<O, Phi3Text>>;

}  // namespace volant
