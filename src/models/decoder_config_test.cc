// Configurations of every decoder family: there and back through config.json, and options that are not done
// refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/model_config.h"
#include "support/random_model.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

TEST(DecoderConfig, EveryFamilySurvivesAWayThroughJson) {
  for (const std::string& family : testing::decoder_families()) {
    Random random(3);
    const ModelConfig c = ModelConfig::from_json(testing::random_config(family, random)).value();
    const Result<ModelConfig> again = ModelConfig::from_json(c.to_json());
    ASSERT_TRUE(again) << family << ": " << again.error().to_string();
    EXPECT_EQ(dump_json(again->to_json()), dump_json(c.to_json())) << family;
    EXPECT_EQ(again->n_parameters(), c.n_parameters());
  }
}

struct Refusal {
  const char *family, *key;
  Json value;
  const char* word;
};

TEST(DecoderConfig, OptionsThatAreNotDoneAreRefusedByName) {
  const Refusal refusals[] = {
      {"gpt2", "activation_function", "relu", "activation_function"},
      {"gpt2", "scale_attn_weights", false, "scale_attn_weights"},
      {"gpt2", "scale_attn_by_inverse_layer_idx", true, "scale_attn_by_inverse_layer_idx"},
      {"gpt2", "add_cross_attention", true, "add_cross_attention"},
      {"gpt2", "n_head", 5000, "n_head"},
      {"llama", "sliding_window", 8, "sliding_window"},
      {"llama", "hidden_act", "gelu", "hidden_act"},
      {"mistral", "hidden_act", "gelu", "hidden_act"},
      {"mistral", "attention_bias", true, "attention_bias"},
      {"mistral", "sliding_window", 0, "sliding_window"},
      {"qwen2", "use_sliding_window", true, "use_sliding_window"},
      {"qwen2", "layer_types", JsonArray{"sliding_attention"}, "layer_types"},
      {"qwen3", "use_sliding_window", true, "use_sliding_window"},
      {"qwen3", "attention_bias", true, "attention_bias"},
      {"gemma2", "hidden_activation", "gelu", "hidden_activation"},
      {"gemma2", "attention_bias", true, "attention_bias"},
      {"gemma2", "tie_word_embeddings", false, "tie_word_embeddings"},
      {"gemma2", "attn_logit_softcapping", -1.0, "attn_logit_softcapping"},
      {"gemma3", "sliding_window_pattern", 4, "sliding_window_pattern"},
      {"gemma3", "use_bidirectional_attention", true, "use_bidirectional_attention"},
      {"gemma3", "rope_local_base_freq", -1.0, "rope_theta"},
      {"phi3", "rope_scaling", {{"type", "longrope"}, {"factor", 4.0}}, "longrope"},
      {"phi3", "rope_scaling", {{"type", "linear"}, {"factor", 4.0}}, "rope_scaling"},
      {"phi3", "partial_rotary_factor", 1.5, "partial_rotary_factor"},
      {"phi3", "attention_bias", true, "attention_bias"}};
  for (const Refusal& r : refusals) {
    Random random(3);
    JsonObject json = testing::random_config(r.family, random);
    json[r.key] = r.value;
    const Result<ModelConfig> config = ModelConfig::from_json(json);
    ASSERT_FALSE(config) << r.family << " " << r.key;
    EXPECT_THAT(config.error().to_string(), HasSubstr(r.word)) << r.family;
  }
}

TEST(DecoderConfig, Gemma3ReadsTheNewerFormOfItsTwoRotations) {
  Random random(3);
  JsonObject json = testing::random_config("gemma3", random);
  json["rope_parameters"] = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1e6}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 10000.0}}}};
  const ModelConfig c = ModelConfig::from_json(json).value();
  const auto& own = std::get<Gemma3Fields>(c.own);
  EXPECT_EQ(own.rope.theta, 1e6);
  EXPECT_EQ(own.local_rope.theta, 1e4);
  ASSERT_TRUE(own.rope.scaling);
  EXPECT_EQ(own.rope.scaling->factor, 8);
  EXPECT_FALSE(own.local_rope.scaling);
}

// What Transformers takes where config.json says nothing, and the name under which version 5 saves a count.
TEST(DecoderConfig, MixturesReadTransformersDefaultsAndItsNewName) {
  for (const auto& [family, expected] : {std::pair{"mixtral", 2}, {"qwen2_moe", 4}, {"qwen3_moe", 8}}) {
    Random random(3);
    JsonObject json = testing::random_config(family, random);
    json.erase("num_experts_per_tok");
    json.erase("num_experts");
    json.erase("head_dim");
    json["num_local_experts"] = 12;
    json["hidden_size"] = json.at("num_attention_heads").as_int64() * 24;
    const ModelConfig c = ModelConfig::from_json(json).value();
    EXPECT_EQ(c.head_dim, 24) << family;
    std::visit(
        [&, n = expected](const auto& own) {
          if constexpr (requires { own.experts; }) {
            EXPECT_EQ(own.experts.num_experts, 12);
            EXPECT_EQ(own.experts.num_experts_per_tok, n);
            return;
          }
          FAIL() << "no mixture";
        },
        c.own);
  }
}

TEST(DecoderConfig, Phi3SaysThatItHasNoPaddingIdWhichTransformersWouldElseTakeAs32000) {
  Random random(3);
  JsonObject json = testing::random_config("phi3", random);
  EXPECT_TRUE(ModelConfig::from_json(json).value().to_json().at("pad_token_id").is_null());
  json["pad_token_id"] = 7;
  EXPECT_EQ(ModelConfig::from_json(json).value().to_json().at("pad_token_id"), Json(7));
}

TEST(DecoderConfig, YarnKeepsFastDimensionsAndStretchesSlowOnes) {
  RopeConfig rope;
  const std::vector<float> plain = rope.inv_freq(64);
  rope.scaling =
      RopeScaling{.type = RopeScaling::Type::kYarn, .factor = 4, .original_max_position_embeddings = 4096};
  const std::vector<float> stretched = rope.inv_freq(64);
  EXPECT_EQ(stretched.front(), plain.front());
  EXPECT_FLOAT_EQ(stretched.back(), plain.back() / 4);
  EXPECT_FLOAT_EQ(rope.turned_scale(), static_cast<float>(1 + 0.1 * std::log(4.0)));
}

}  // namespace
}  // namespace volant
