// Qwen2-MoE and Qwen3-MoE (Yang et al. 2024, 2025): Qwen2 and Qwen3 with a mixture of experts in every layer;
// the former has one expert besides that every row meets.
#pragma once
#include "models/blocks/experts.h"
#include "models/blocks/pre_norm_layer.h"

namespace volant {

struct Qwen2MoeText {
  static const Qwen2MoeFields& own(const ModelConfig& c) { return std::get<Qwen2MoeFields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.qkv_bias = true;
    return text;
  }
  static ExpertsText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .fields = own(c).experts, .names = {}};
  }
};

struct Qwen3MoeText {
  static const Qwen3MoeFields& own(const ModelConfig& c) { return std::get<Qwen3MoeFields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps)}};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    SelfAttentionText text = plain_attention(c, layer, own(c).rope);
    text.head_norms = decoder(c).norm;
    return text;
  }
  static ExpertsText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size, .fields = own(c).experts, .names = {}};
  }
};

template <Ops O>
using Qwen2Moe = Decoder<O, PreNormLayer<O, Qwen2MoeText, Experts<O>>>;
template <Ops O>
using Qwen3Moe = Decoder<O, PreNormLayer<O, Qwen3MoeText, Experts<O>>>;

}  // namespace volant
