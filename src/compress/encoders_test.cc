// Encoders, classifiers and encoder-decoders on their way through both formats: every number and the
// configuration come back, what GGUF cannot hold is refused, a tied head is repeated where llama.cpp wants
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compress/export.h"
#include "io/gguf.h"
#include "models/checkpoint.h"
#include "runtime/embedder.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDir;

JsonObject bert_json(const char* architecture) {
  return {{"architectures", JsonArray{architecture}},
          {"model_type", "bert"},
          {"vocab_size", 512},
          {"hidden_size", 32},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 2},
          {"intermediate_size", 64},
          {"max_position_embeddings", 64},
          {"id2label", JsonObject{{"0", "ham"}, {"1", "spam"}, {"2", "eggs"}}}};
}

JsonObject t5_json(bool gated, bool tied) {
  return {{"architectures", JsonArray{"T5ForConditionalGeneration"}},
          {"model_type", "t5"},
          {"vocab_size", 512},
          {"d_model", 32},
          {"d_kv", 8},
          {"d_ff", 64},
          {"num_layers", 2},
          {"num_decoder_layers", 3},
          {"num_heads", 4},
          {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
          {"tie_word_embeddings", tied}};
}

// A folder with random weights and a tokenizer of 512 words.
Path write_model(const ScratchDir& scratch, const JsonObject& json, const Path& tokenizer) {
  Random random(21);
  const Path folder = scratch / "model";
  EXPECT_TRUE(make_dirs(folder));
  testing::write_random_model(folder, ModelConfig::from_json(json).value(), random);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    EXPECT_TRUE(write_file_atomic(folder / file, read_file(tokenizer / file).value()));
  return folder;
}

void expect_same(const Path& before, const Path& after) {
  const Checkpoint a = Checkpoint::open(before).value(), b = Checkpoint::open(after).value();
  ASSERT_EQ(a.tensor_names(), b.tensor_names());
  for (const std::string& name : a.tensor_names())
    EXPECT_EQ(to_f32(a.tensor(name).value()), to_f32(b.tensor(name).value())) << name;
  EXPECT_EQ(a.config().architecture, b.config().architecture);
  EXPECT_EQ(a.config().labels, b.config().labels);
  EXPECT_EQ(a.config().tie_word_embeddings, b.config().tie_word_embeddings);
}

void expect_there_and_back(const JsonObject& json, const Path& tokenizer) {
  SCOPED_TRACE(dump_json(json));
  const ScratchDir scratch;
  const Path model = write_model(scratch, json, tokenizer);
  const auto there = export_model(model, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}});
  ASSERT_TRUE(there) << there.error().to_string();
  EXPECT_EQ(there->max_logit_error, 0);
  EXPECT_GT(there->positions, 0);
  const auto back =
      export_model(scratch / "m.gguf", {.to = DType::kF32, .out = scratch / "hf", .parity_texts = {}});
  ASSERT_TRUE(back) << back.error().to_string();
  expect_same(model, scratch / "hf");
  const auto small = export_model(model, {.to = DType::kQ8_0, .out = scratch / "q.gguf", .parity_texts = {}});
  ASSERT_TRUE(small) << small.error().to_string();
  EXPECT_GT(small->mean_kl, 0);
  EXPECT_LT(small->bytes, there->bytes);
}

TEST(EncodersInGguf, HiddenStatesClassesAndWordsComeBack) {
  VOLANT_DATA_OR_SKIP(models, "models");
  expect_there_and_back(bert_json("BertModel"), models / "tiny-bert");
  expect_there_and_back(bert_json("BertForSequenceClassification"), models / "tiny-bert");
  for (const bool gated : {false, true})
    for (const bool tied : {false, true}) expect_there_and_back(t5_json(gated, tied), models / "stories260K");
}

TEST(EncodersInGguf, MiniLmKeepsItsVectorsItsPoolingAndItsPooler) {
  VOLANT_DATA_OR_SKIP(folder, "models/all-MiniLM-L6-v2");
  const ScratchDir scratch;
  const auto report =
      export_model(folder, {.to = DType::kQ8_0, .out = scratch / "m.gguf", .parity_texts = {}});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_LT(report->mean_kl, 0.01);
  EXPECT_EQ(GgufFile::open(scratch / "m.gguf")->get_int("bert.pooling_type").value(), 1);
  const auto a = Embedder::open(folder, {.n_threads = 1}).value(),
             b = Embedder::open(scratch / "m.gguf", {.n_threads = 1}).value();
  EXPECT_EQ(b->pooling(), Pooling::kMean);
  const std::vector<std::string> text{"A man is eating food."};
  const std::vector<float> x = a->embed(text).value()[0].vector, y = b->embed(text).value()[0].vector;
  double cosine = 0;
  for (size_t i = 0; i < x.size(); ++i) cosine += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  EXPECT_GT(cosine, 0.98);
}

TEST(EncodersInGguf, PoolingByTheFirstRowGoesThroughBothFormats) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-bert");
  const ScratchDir scratch;
  const Path model = write_model(scratch, bert_json("BertModel"), tokenizer);
  ASSERT_TRUE(make_dirs(model / "1_Pooling"));
  ASSERT_TRUE(write_file_atomic(model / "1_Pooling/config.json", R"({"pooling_mode_cls_token":true})"));
  ASSERT_TRUE(export_model(model, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}}));
  EXPECT_EQ(Embedder::open(scratch / "m.gguf", {.n_threads = 1}).value()->pooling(), Pooling::kFirst);
  ASSERT_TRUE(
      export_model(scratch / "m.gguf", {.to = DType::kF32, .out = scratch / "hf", .parity_texts = {}}));
  EXPECT_EQ(Embedder::open(scratch / "hf", {.n_threads = 1}).value()->pooling(), Pooling::kFirst);
}

TEST(EncodersInGguf, HeadsThatGgufCannotHoldAreRefusedAsUnsupported) {
  VOLANT_DATA_OR_SKIP(models, "models");
  Random random(3);
  JsonObject llama = testing::random_config("llama", random);
  llama["architectures"] = JsonArray{"LlamaForSequenceClassification"};
  llama["vocab_size"] = 512;
  JsonObject far = t5_json(true, true);
  far["relative_attention_max_distance"] = 64;
  const std::pair<JsonObject, const char*> cases[] = {
      {llama, "LlamaForSequenceClassification"},
      {bert_json("BertForTokenClassification"), "BertForTokenClassification"},
      {bert_json("BertForMaskedLM"), "BertForMaskedLM"},
      {far, "relative_attention_max_distance"}};
  for (const auto& [json, word] : cases) {
    const ScratchDir scratch;
    const Path model = write_model(scratch, json, models / "tiny-bert");
    const auto report =
        export_model(model, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}});
    ASSERT_FALSE(report) << word;
    EXPECT_EQ(report.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(report.error().to_string(), HasSubstr(word));
    // A folder holds them all.
    const auto folder = export_model(model, {.to = DType::kBF16, .out = scratch / "hf", .parity_texts = {}});
    ASSERT_TRUE(folder) << folder.error().to_string();
    EXPECT_LT(folder->mean_kl, 0.01);
  }
}

TEST(EncodersInGguf, ATiedHeadIsRepeatedWhereLlamaCppWantsIt) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-qwen2");
  for (const bool tied : {true, false}) {
    const ScratchDir scratch;
    Random random(3);
    JsonObject json = testing::random_config("qwen2_moe", random);
    json["tie_word_embeddings"] = tied;
    const Path model = write_model(scratch, json, tokenizer);
    ASSERT_TRUE(export_model(model, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}}));
    EXPECT_TRUE(GgufFile::open(scratch / "m.gguf")->tensors().contains("output.weight"));
    EXPECT_EQ(Checkpoint::open(scratch / "m.gguf")->config().tie_word_embeddings, tied);
  }
}

}  // namespace
}  // namespace volant
