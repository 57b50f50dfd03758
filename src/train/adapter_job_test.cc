#include "train/adapter_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace volant {
namespace {

using ::testing::HasSubstr;

Result<AdapterJob> parse(const char* text) { return parse_adapter_job(parse_json(text).value()); }

TEST(AdapterJob, PatternsAreWholePartsOfNames) {
  const std::string name = "model.layers.12.self_attn.q_proj.weight";
  for (const char* pattern :
       {"model", "model.layers.", "model.layers.12.", "layers.3-12", "q_proj", "layers.*.self_attn"})
    EXPECT_TRUE(matches_tensor(pattern, name)) << pattern;
  for (const char* pattern : {"model.layers.1", "layers.0-3", "proj", "model.q_proj", "12-", "-12"})
    EXPECT_FALSE(matches_tensor(pattern, name)) << pattern;
}

TEST(AdapterJob, FrozenAndTrainedTensorsFollowThePatterns) {
  const TorchOptions freeze = torch_options(parse(R"({"freeze": ["embed_tokens", "layers.0-1"]})").value());
  EXPECT_FALSE(freeze.trains(norm("model.layers.1.input_layernorm.weight", 4)));
  EXPECT_TRUE(freeze.trains(norm("model.layers.2.input_layernorm.weight", 4)));
  const TorchOptions only = torch_options(parse(R"({"train_only": ["lm_head"]})").value());
  EXPECT_TRUE(only.trains(lm_head("lm_head.weight", 9, 4)));
  EXPECT_FALSE(only.trains(norm("model.norm.weight", 4)));
  EXPECT_FALSE(torch_options(parse("{}").value()).trains);
}

TEST(AdapterJob, AdapterFieldsAreRead) {
  const AdapterJob job = parse(R"({"adapter": {"kind": "dora", "r": 4, "alpha": 6.5, "dropout": 0.1,
                                               "target_modules": ["q_proj", "v_proj"], "base_bits": 4}})")
                             .value();
  EXPECT_EQ(*job.adapter, (AdapterSpec{AdapterSpec::Kind::kDora, 4, 6.5, 0.1, {"q_proj", "v_proj"}}));
  EXPECT_EQ(torch_options(job).frozen_dtype, DType::kIQ4_NL);
  EXPECT_FALSE(torch_options(job).in_8_bits);
  EXPECT_FALSE(job.trains_all());
  const TorchOptions mixed =
      torch_options(parse(R"({"adapter": {"base_bits": 4, "in_8_bits": ["down_proj"]}})").value());
  EXPECT_TRUE(mixed.in_8_bits(matrix("model.layers.1.mlp.down_proj.weight", 8, 4)));
  EXPECT_FALSE(mixed.in_8_bits(matrix("model.layers.1.mlp.up_proj.weight", 8, 4)));
  EXPECT_EQ(*parse(R"({"adapter": {"target_modules": "all-linear"}})")->adapter, AdapterSpec());
  EXPECT_FALSE(torch_options(job).start_from_rounding);
  EXPECT_TRUE(torch_options(parse(R"({"adapter": {"base_bits": 4, "start": "rounding"}})").value())
                  .start_from_rounding);
}

TEST(AdapterJob, WrongFieldsAreErrorsByName) {
  const auto error = [](const char* text) { return parse(text).error().to_string(); };
  EXPECT_THAT(error(R"({"adapter": {"rank": 4}})"), HasSubstr("'rank'"));
  EXPECT_THAT(error(R"({"adapter": {"kind": "ia3"}})"), HasSubstr("'kind'"));
  EXPECT_THAT(error(R"({"adapter": {"base_bits": 5}})"), HasSubstr("'base_bits'"));
  EXPECT_THAT(error(R"({"adapter": {"base_bits": 8, "in_8_bits": ["down_proj"]}})"),
              HasSubstr("'in_8_bits'"));
  EXPECT_THAT(error(R"({"adapter": {"r": 0}})"), HasSubstr("'r'"));
  EXPECT_THAT(error(R"({"adapter": {"base_bits": 4, "start": "svd"}})"), HasSubstr("'start'"));
  EXPECT_THAT(error(R"({"adapter": {"start": "rounding"}})"), HasSubstr("'base_bits'"));
  EXPECT_THAT(error(R"({"adapter": {"kind": "dora", "base_bits": 4, "start": "rounding"}})"),
              HasSubstr("'kind'"));
  EXPECT_THAT(error(R"({"adapter": {"target_modules": []}})"), HasSubstr("'target_modules'"));
  EXPECT_THAT(error(R"({"freeze": ["a"], "train_only": ["b"]})"), HasSubstr("either"));
  EXPECT_THAT(error(R"({"freeze": ["a"], "adapter": {}})"), HasSubstr("'adapter'"));
  EXPECT_THAT(error(R"({"freeze": [3]})"), HasSubstr("'freeze'"));
}

}  // namespace
}  // namespace volant
