// Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on q, k and v.
#pragma once
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct Qwen2Text {
  static const Qwen2Fields& own(const ModelConfig& c) { return std::get<Qwen2Fields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.qkv_bias = true;
    return text;
  }
  static GatedMlpText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .intermediate_size = c.intermediate_size};
  }
};

template <Ops O>
using Qwen2 = Decoder<O, PreNormLayer<O, Qwen2Text>>;

}  // namespace volant
