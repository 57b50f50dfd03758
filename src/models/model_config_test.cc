#include "models/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

JsonObject small_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 512},
          {"hidden_size", 64},
          {"intermediate_size", 160},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"rms_norm_eps", 1e-6},
          {"eos_token_id", {1, 2}},
          {"rope_theta", 10000.0}};
}

const RopeConfig& rope_of(const ModelConfig& c) { return std::get<LlamaFields>(c.own).rope; }

std::string refusal(const char* key, const Json& value) {
  JsonObject json = small_config();
  json[key] = value;
  const Result<ModelConfig> config = ModelConfig::from_json(json);
  EXPECT_FALSE(config) << key;
  return config ? std::string() : config.error().message;
}

TEST(ModelConfig, ReadsFieldsAndFillsInWhatMayBeMissing) {
  const ModelConfig c = ModelConfig::from_json(small_config()).value();
  EXPECT_EQ(c.hidden_size, 64);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.max_position_embeddings, 2048);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_THAT(c.eos_token_ids, ::testing::ElementsAre(1, 2));
  JsonObject no_kv = small_config();
  no_kv.erase("num_key_value_heads");
  EXPECT_EQ(ModelConfig::from_json(no_kv).value().num_key_value_heads, 4);
}

TEST(ModelConfig, OptionsThatAreNotDoneAreRefusedByName) {
  EXPECT_THAT(refusal("architectures", {"MambaForCausalLM"}),
              AllOf(HasSubstr("MambaForCausalLM is not supported: supported are "),
                    HasSubstr("LlamaForCausalLM"), HasSubstr("GPT2LMHeadModel"), HasSubstr("BertModel")));
  EXPECT_THAT(refusal("hidden_act", "gelu"), HasSubstr("gelu"));
  EXPECT_THAT(refusal("sliding_window", 8), HasSubstr("sliding_window"));
  EXPECT_THAT(refusal("rope_scaling", {{"rope_type", "dynamic"}, {"factor", 4.0}}), HasSubstr("dynamic"));
  EXPECT_THAT(refusal("rope_scaling", {{"type", "longrope"}, {"factor", 4.0}}), HasSubstr("longrope"));
  EXPECT_THAT(refusal("rope_scaling", {{"type", "linear"}, {"factor", 0.5}}), HasSubstr("factor"));
  EXPECT_THAT(refusal("rope_scaling", {{"type", "linear"}, {"factor", 2.0}, {"strength", 3}}),
              HasSubstr("strength"));
  for (const char* option : {"attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow"})
    EXPECT_THAT(refusal("rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}, {option, 2.0}}),
                HasSubstr(option));
  EXPECT_THAT(refusal("rope_scaling", {{"rope_type", "llama3"}}), HasSubstr("factor"));
}

TEST(ModelConfig, SizesThatCannotBeAreRefusedByName) {
  EXPECT_THAT(refusal("vocab_size", 0), HasSubstr("vocab_size"));
  EXPECT_THAT(refusal("hidden_size", -64), HasSubstr("hidden_size"));
  EXPECT_THAT(refusal("num_hidden_layers", 1e9), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(refusal("num_hidden_layers", int64_t{1} << 40), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(refusal("num_attention_heads", 0), HasSubstr("num_attention_heads"));
  EXPECT_THAT(refusal("num_key_value_heads", 3), HasSubstr("num_key_value_heads"));
  EXPECT_THAT(refusal("head_dim", 15), HasSubstr("head_dim"));
  EXPECT_THAT(refusal("head_dim", 4096), HasSubstr("head_dim"));
  EXPECT_THAT(refusal("rms_norm_eps", 0), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(refusal("rope_theta", -1), HasSubstr("rope_theta"));
  EXPECT_THAT(refusal("vocab_size", "many"), HasSubstr("vocab_size"));
  EXPECT_FALSE(ModelConfig::from_json(Json(nullptr)));
  EXPECT_FALSE(ModelConfig::from_json(JsonArray{1}));
}

TEST(ModelConfig, SurvivesAWayThroughJson) {
  JsonObject json = small_config();
  json["rope_scaling"] = {{"rope_type", "llama3"},
                          {"factor", 8.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 64}};
  json["bos_token_id"] = 1;
  json["tie_word_embeddings"] = true;
  const ModelConfig c = ModelConfig::from_json(json).value();
  const ModelConfig again = ModelConfig::from_json(c.to_json()).value();
  EXPECT_EQ(dump_json(again.to_json()), dump_json(c.to_json()));
  EXPECT_EQ(rope_of(again).inv_freq(c.head_dim), rope_of(c).inv_freq(c.head_dim));
  EXPECT_EQ(again.n_parameters(), c.n_parameters());
}

TEST(ModelConfig, ParametersAreCountedAsInTheRealModels) {
  VOLANT_DATA_OR_SKIP(models, "models");
  const auto count = [&](const char* name) {
    return ModelConfig::from_json(parse_json(read_file(models / name / "config.json").value()).value())
        .value()
        .n_parameters();
  };
  EXPECT_EQ(count("stories15M"), 15191712);
  EXPECT_EQ(count("minimind2-small"), 25829888);
}

TEST(ModelConfig, FrequenciesFollowThetaAndTheLlama3Rule) {
  const ModelConfig c = ModelConfig::from_json(small_config()).value();
  const std::vector<float> plain = rope_of(c).inv_freq(c.head_dim);
  ASSERT_EQ(plain.size(), 8U);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(plain[i], std::pow(10000.0, -static_cast<double>(i) / 8), 1e-7);
  RopeConfig stretched = rope_of(c);
  stretched.scaling =
      RopeScaling{.type = RopeScaling::Type::kLlama3, .factor = 8, .original_max_position_embeddings = 64};
  const std::vector<float> scaled = stretched.inv_freq(c.head_dim);
  EXPECT_EQ(scaled[0], plain[0]);            // wave of 6 positions: short
  EXPECT_FLOAT_EQ(scaled[7], plain[7] / 8);  // wave of 19,869 positions: long
  EXPECT_LT(scaled[1], plain[1]);            // wave of 20: between
  EXPECT_GT(scaled[1], plain[1] / 8);
}

}  // namespace
}  // namespace volant
