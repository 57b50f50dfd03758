// Llama 1 to 3 (Touvron et al. 2023; Dubey et al. 2024): grouped-query attention with RoPE, RMSNorm, SwiGLU;
// biases where the configuration asks for them; tied or untied head.
#pragma once
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct LlamaText {
  static const LlamaFields& own(const ModelConfig& c) { return std::get<LlamaFields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.qkv_bias = text.o_bias = own(c).attention_bias;
    return text;
  }
  static GatedMlpText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .intermediate_size = c.intermediate_size, .bias = own(c).mlp_bias};
  }
};

template <Ops O>
using Llama = Decoder<O, PreNormLayer<O, LlamaText>>;

}  // namespace volant
