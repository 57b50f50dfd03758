// Every decoder family on its way through both formats: a Hugging Face folder to GGUF and back keeps every
// number, and the GGUF file gives the same logits.
#include <gtest/gtest.h>

#include <algorithm>

#include "compress/export.h"
#include "models/checkpoint.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using testing::ScratchDir;

class Families : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Decoders, Families, ::testing::ValuesIn(testing::decoder_families()),
                         [](const auto& name) {
                           std::string text = name.param;
                           std::replace(text.begin(), text.end(), ':', '_');
                           return text;
                         });

TEST_P(Families, ThereAndBackThroughGgufKeepsConfigurationAndEveryNumber) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-qwen2");
  const ScratchDir scratch;
  Random random(21);
  const ModelConfig config = ModelConfig::from_json(testing::random_config(GetParam(), random)).value();
  const Path model = scratch / "model";
  ASSERT_TRUE(make_dirs(model));
  testing::write_random_model(model, config, random);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    ASSERT_TRUE(write_file_atomic(model / file, read_file(tokenizer / file).value()));

  const auto there = export_model(model, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}});
  ASSERT_TRUE(there) << there.error().to_string();
  EXPECT_LE(there->max_logit_error, 1e-3);
  const auto back =
      export_model(scratch / "m.gguf", {.to = DType::kF32, .out = scratch / "hf", .parity_texts = {}});
  // GGUF holds the stretched frequencies of llama3 as a table, from which there is no way back to
  // config.json.
  if (GetParam() == "llama:llama3") {
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error().code, ErrorCode::kUnsupported);
    return;
  }
  ASSERT_TRUE(back) << back.error().to_string();
  const Checkpoint original = Checkpoint::open(model).value(),
                   again = Checkpoint::open(scratch / "hf").value();
  ASSERT_EQ(original.tensor_names(), again.tensor_names());
  for (const std::string& name : original.tensor_names()) {
    const std::vector<float> a = to_f32(original.tensor(name).value()),
                             b = to_f32(again.tensor(name).value());
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], 2e-7) << name;  // 1 is added to Gemma's norms
  }
  JsonObject before = original.config().to_json().as_object(), after = again.config().to_json().as_object();
  for (const char* special : {"bos_token_id", "eos_token_id", "pad_token_id", "initializer_range"}) {
    before.erase(special);  // those of the tokenizer; GGUF has no initialiser
    after.erase(special);
  }
  ASSERT_EQ(before.size(), after.size());
  for (const auto& field : before) {
    ASSERT_TRUE(after.contains(field.key())) << std::string_view(field.key());
    const Json& other = after.at(field.key());
    if (field.value().is_double()) {  // GGUF holds f32
      EXPECT_NEAR(other.to_number<double>(), field.value().as_double(),
                  1e-6 * std::abs(field.value().as_double()))
          << std::string_view(field.key());
    } else {
      EXPECT_EQ(dump_json(other), dump_json(field.value())) << std::string_view(field.key());
    }
  }
}

TEST(FamiliesInGguf, WhatGgufCannotHoldIsRefusedByName) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-qwen2");
  struct Case {
    const char *family, *key;
    Json value;
    const char* word;
  };
  const JsonObject llama3 = testing::rope_scaling_of("llama3");
  for (const Case& c : {Case{"gemma2", "query_pre_attn_scalar", 3.0, "query_pre_attn_scalar"},
                        Case{"gemma2", "attn_logit_softcapping", nullptr, "softcapping"},
                        Case{"gemma3", "sliding_window", nullptr, "sliding_window"},
                        Case{"qwen3", "rope_scaling", llama3, "llama3"}}) {
    const ScratchDir scratch;
    Random random(5);
    JsonObject json = testing::random_config(c.family, random);
    json[c.key] = c.value;
    const ModelConfig config = ModelConfig::from_json(json).value();
    ASSERT_TRUE(make_dirs(scratch / "model"));
    testing::write_random_model(scratch / "model", config, random);
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
      ASSERT_TRUE(write_file_atomic(scratch / "model" / file, read_file(tokenizer / file).value()));
    const auto report =
        export_model(scratch / "model", {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}});
    ASSERT_FALSE(report) << c.key;
    EXPECT_NE(report.error().to_string().find(c.word), std::string::npos) << report.error().to_string();
  }
}

}  // namespace
}  // namespace volant
