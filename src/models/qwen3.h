// Qwen3 (Yang et al. 2025): Llama with RMSNorm on each head's query and key, and a head_dim of its own.
#pragma once
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct Qwen3Text {
  static const Qwen3Fields& own(const ModelConfig& c) { return std::get<Qwen3Fields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.head_norms = decoder(c).norm;
    return text;
  }
  static GatedMlpText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .intermediate_size = c.intermediate_size};
  }
};

template <Ops O>
using Qwen3 = Decoder<O, PreNormLayer<O, Qwen3Text>>;

}  // namespace volant
