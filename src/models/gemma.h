// Gemma 2 (Gemma Team 2024): norms before and after each part, GeGLU, capped scores and logits, embeddings
// times sqrt(hidden_size), every second layer sees all positions and the others a window. Gemma 3 (2025),
// text: every sixth layer sees all positions, with RoPE of its own; norms on queries and keys instead of
// caps.
#pragma once
#include "models/blocks/sandwich_layer.h"

namespace volant {

template <class Fields>
struct GemmaText {
  static const Fields& own(const ModelConfig& c) { return std::get<Fields>(c.own); }
  static DecoderText decoder(const ModelConfig& c) {
    return {.norm = {.eps = static_cast<float>(own(c).rms_norm_eps), .offset = 1},
            .embedding_scale = std::sqrt(static_cast<float>(c.hidden_size)),
            .logit_softcap = static_cast<float>(own(c).final_logit_softcapping)};
  }
  static SelfAttentionText attention(const ModelConfig& c, int layer) {
    const bool is_global = (layer + 1) % Fields::kGlobalEvery == 0;
    SelfAttentionText text = plain_attention(c, layer, own(c).rope_of(is_global));
    text.attention.scale = 1.0F / std::sqrt(static_cast<float>(own(c).query_pre_attn_scalar));
    text.attention.softcap = static_cast<float>(own(c).attn_logit_softcapping);
    text.attention.window = is_global ? 0 : static_cast<int>(own(c).sliding_window);
    if (Fields::kHasHeadNorms) text.head_norms = decoder(c).norm;
    return text;
  }
  static GatedMlpText mlp(const ModelConfig& c) {
    return {.hidden_size = c.hidden_size,
            .intermediate_size = c.intermediate_size,
            .activation = GatedMlpText::Activation::kGeluTanh};
  }
};

template <Ops O>
using Gemma2 = Decoder<O, SandwichLayer<O, GemmaText<Gemma2Fields>>>;
template <Ops O>
using Gemma3 = Decoder<O, SandwichLayer<O, GemmaText<Gemma3Fields>>>;

}  // namespace volant
