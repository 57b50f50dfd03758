// Mistral 7B (Jiang et al. 2023): Llama whose queries see a sliding window.
#pragma once
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct MistralText {
  static const MistralFields& own(const ModelConfig& c) { return std::get<MistralFields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.attention.window = static_cast<int>(own(c).sliding_window);
    return text;
  }
  static GatedMlpText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .intermediate_size = c.intermediate_size};
  }
};

template <Ops O>
using Mistral = Decoder<O, PreNormLayer<O, MistralText>>;

}  // namespace volant
