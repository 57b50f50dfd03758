// Mixtral (Jiang et al. 2024): Mistral with a mixture of experts in every layer; the two chosen ones share a
// weight of one.
#pragma once
#include "models/blocks/experts.h"
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct MixtralText {
  static const MixtralFields& own(const ModelConfig& c) { return std::get<MixtralFields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.attention.window = static_cast<int>(own(c).sliding_window);
    return text;
  }
  static ExpertsText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size,
            .fields = own(c).experts,
            .names = {.block = "block_sparse_moe.", .gate = "w1", .up = "w3", .down = "w2"}};
  }
};

template <Ops O>
using Mixtral = Decoder<O, PreNormLayer<O, MixtralText, Experts<O>>>;

}  // namespace volant
