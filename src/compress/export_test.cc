#include "compress/export.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "base/random.h"
#include "compress/convert.h"
#include "compress/parity.h"
#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "support/random_adapter.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDir;

size_t count_entries(const Path& folder) {
  size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

struct Case {
  const char* model;
  DType to;
};

class Export : public ::testing::TestWithParam<Case> {};

TEST_P(Export, GgufKeepsTheModel) {
  VOLANT_DATA_OR_SKIP(models, "models");
  const ScratchDir scratch;
  const Path out = scratch / "sub/m.gguf";
  const Result<ParityReport> report =
      export_model(models / GetParam().model, {.to = GetParam().to, .out = out, .parity_texts = {}});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->passed);
  EXPECT_GT(report->positions, 100);
  EXPECT_EQ(report->conversations, 4);
  EXPECT_EQ(report->bytes, volant::file_size(out).value());
  if (GetParam().to == DType::kF32) {
    EXPECT_LE(report->max_logit_error, 1e-3);
    EXPECT_EQ(report->greedy_agreement, 1);
  }
  EXPECT_EQ(count_entries(scratch / "sub"), 1U);
  const Checkpoint original = Checkpoint::open(models / GetParam().model).value(),
                   exported = Checkpoint::open(out).value();
  EXPECT_EQ(original.tensor_names(), exported.tensor_names());
  EXPECT_EQ(original.stop_ids(), exported.stop_ids());
  EXPECT_EQ(original.has_chat_template(), exported.has_chat_template());
  EXPECT_EQ(original.chat_template(), exported.chat_template());
  EXPECT_EQ(exported.tensor("model.norm.weight").value().dtype, DType::kF32);
  const auto frequencies = [](const Checkpoint& model) {
    return std::get<LlamaFields>(model.config().own).rope.inv_freq(model.config().head_dim);
  };
  EXPECT_EQ(frequencies(original), frequencies(exported));
}

// The parity of an export is that of the merged model against the unmerged one.
TEST(ExportWithAdapter, MergedModelIsTheUnmergedOne) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  for (const auto kind : {AdapterSpec::Kind::kLora, AdapterSpec::Kind::kDora}) {
    const ScratchDir scratch;
    const ModelConfig config = Checkpoint::open(model).value().config();
    ASSERT_TRUE(write_adapter(scratch / "adapter", testing::random_adapter(config, kind, 11), config));
    const Result<ParityReport> report = export_model(
        model,
        {.to = DType::kF32, .adapter = scratch / "adapter", .out = scratch / "merged", .parity_texts = {}});
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_LE(report->max_logit_error, 1e-3);
    EXPECT_EQ(report->greedy_agreement, 1);
    EXPECT_TRUE(export_model(
        model,
        {.to = DType::kQ8_0, .adapter = scratch / "adapter", .out = scratch / "m.gguf", .parity_texts = {}}));
    // It is another model than the base, and the base beside the adapter stays what it was.
    const auto engine = Engine::open(model, {.n_threads = 1, .adapters = {scratch / "adapter"}}).value();
    const std::vector<int32_t> ids = {1, 5, 9, 300};
    const auto base = engine->logits(ids).value(), adapted = engine->logits(ids, 1).value();
    EXPECT_EQ(base, Engine::open(model, {.n_threads = 1}).value()->logits(ids).value());
    EXPECT_NE(base, adapted);
    EXPECT_EQ(engine->logits(ids, 2).error().code, ErrorCode::kInvalidArgument);
    GenerateRequest request{.prompt = ids, .max_tokens = 8, .sampling = {.temperature = 0}};
    const auto plain = engine->generate(request).value().ids;
    request.adapter = 1;
    const auto with = engine->generate(request).value().ids;
    EXPECT_EQ(with, Engine::open(scratch / "merged", {.n_threads = 1})
                        .value()
                        ->generate({.prompt = ids, .max_tokens = 8, .sampling = {.temperature = 0}})
                        .value()
                        .ids);
    request.adapter = 0;
    EXPECT_EQ(engine->generate(request).value().ids, plain);  // kept keys are not taken from another adapter
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, Export,
    ::testing::Values(Case{"stories260K", DType::kF32}, Case{"stories260K", DType::kQ8_0},
                      Case{"stories15M", DType::kF32}, Case{"stories15M", DType::kF16},
                      Case{"stories15M", DType::kQ8_0}, Case{"minimind2-small", DType::kF32},
                      Case{"minimind2-small", DType::kBF16}, Case{"minimind2-small", DType::kQ8_0},
                      Case{"tiny-llama-gqa", DType::kF32}, Case{"tiny-llama3-rope", DType::kF32}),
    [](const auto& param) {
      std::string name = std::string(param.param.model) + "_" + dtype_info(param.param.to).name;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

TEST(ExportModel, QuantisedFileIsAQuarterAndSmallerThanHalf) {
  VOLANT_DATA_OR_SKIP(model, "models/stories15M");
  const ScratchDir scratch;
  const uint64_t f32 =
      export_model(model, {.to = DType::kF32, .out = scratch / "a.gguf", .parity_texts = {}}).value().bytes;
  const uint64_t q8 =
      export_model(model, {.to = DType::kQ8_0, .out = scratch / "b.gguf", .parity_texts = {}}).value().bytes;
  EXPECT_LT(static_cast<double>(q8), 0.32 * static_cast<double>(f32));
}

TEST(ExportModel, MetadataIsWhatLlamaCppAsksFor) {
  VOLANT_DATA_OR_SKIP(model, "models/minimind2-small");
  const ScratchDir scratch;
  ASSERT_TRUE(export_model(model, {.to = DType::kQ8_0, .out = scratch / "mind.gguf", .parity_texts = {}}));
  const GgufFile file = GgufFile::open(scratch / "mind.gguf").value();
  EXPECT_EQ(file.get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file.get_string("general.name").value(), "mind");
  EXPECT_EQ(file.get_int("general.file_type").value(), 7);
  EXPECT_EQ(file.get_int("general.quantization_version").value(), 2);
  EXPECT_EQ(file.get_int("llama.attention.head_count").value(), 8);
  EXPECT_EQ(file.get_int("llama.attention.head_count_kv").value(), 2);
  for (const char* key : {"llama.context_length", "llama.embedding_length", "llama.block_count",
                          "llama.feed_forward_length", "llama.rope.dimension_count", "llama.vocab_size"}) {
    EXPECT_TRUE(file.get_int(key)) << key;
  }
  EXPECT_TRUE(file.contains("tokenizer.ggml.tokens"));
  EXPECT_TRUE(file.contains("tokenizer.ggml.model"));
  EXPECT_TRUE(file.contains("tokenizer.chat_template"));
  EXPECT_FALSE(file.tensors().contains("output.weight"));  // tied
  EXPECT_EQ(file.tensors().at("blk.0.attn_q.weight").type, GgmlType::kQ8_0);
  EXPECT_EQ(file.tensors().at("blk.0.attn_norm.weight").type, GgmlType::kF32);
}

// Row i of a head's first half goes to 2i, row i of its second half to 2i + 1:
// convert_hf_to_gguf's permute().
TEST(ExportModel, QueryRowsAreInterleaved) {
  VOLANT_DATA_OR_SKIP(model, "models/tiny-llama-gqa");
  const ScratchDir scratch;
  ASSERT_TRUE(export_model(model, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}}));
  const GgufFile file = GgufFile::open(scratch / "m.gguf").value();
  const Checkpoint original = Checkpoint::open(model).value();
  const TensorView q = original.tensor("model.layers.0.self_attn.q_proj.weight").value();
  const auto& written = file.tensors().at("blk.0.attn_q.weight");
  const auto row = static_cast<size_t>(q.columns()) * 4;
  const auto head_dim = static_cast<size_t>(original.config().head_dim), half = head_dim / 2;
  for (size_t head = 0; head < 4; ++head) {
    for (size_t i = 0; i < half; ++i) {
      const auto same = [&](size_t from, size_t to) {
        return std::memcmp(q.bytes.data() + (head * head_dim + from) * row,
                           written.bytes.data() + (head * head_dim + to) * row, row) == 0;
      };
      ASSERT_TRUE(same(i, 2 * i));
      ASSERT_TRUE(same(half + i, 2 * i + 1));
    }
  }
}

TEST(ExportModel, ThereAndBackGivesTheSameBytes) {
  VOLANT_DATA_OR_SKIP(models, "models");
  for (const char* name : {"stories260K", "minimind2-small", "tiny-llama-gqa"}) {
    const ScratchDir scratch;
    ASSERT_TRUE(
        export_model(models / name, {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}}));
    const Result<ParityReport> back =
        export_model(scratch / "m.gguf", {.to = DType::kF32, .out = scratch / "hf", .parity_texts = {}});
    ASSERT_TRUE(back) << name << ": " << back.error().to_string();
    const Checkpoint original = Checkpoint::open(models / name).value(),
                     again = Checkpoint::open(scratch / "hf").value();
    ASSERT_EQ(original.tensor_names(), again.tensor_names());
    for (const std::string& tensor : original.tensor_names()) {
      ASSERT_EQ(to_f32(original.tensor(tensor).value()), to_f32(again.tensor(tensor).value())) << tensor;
    }
    EXPECT_EQ(original.stop_ids(), again.stop_ids());
    EXPECT_EQ(original.chat_template(), again.chat_template());
    const Json config = parse_json(read_file(scratch / "hf/config.json").value()).value();
    EXPECT_EQ(json_string(config, "torch_dtype").value(), "float32");
    EXPECT_TRUE(std::filesystem::exists(scratch / "hf/generation_config.json"));
  }
}

TEST(ExportModel, HuggingFaceFolderKeepsTheModel) {
  VOLANT_DATA_OR_SKIP(model, "models/minimind2-small");
  const ScratchDir scratch;
  const Result<ParityReport> report =
      export_model(model, {.to = DType::kBF16, .out = scratch / "hf", .parity_texts = {}});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(SafetensorsFile::open(scratch / "hf").value().tensors().at("model.norm.weight").dtype, "BF16");
  EXPECT_EQ(export_model(model, {.to = DType::kBF16, .out = scratch / "hf", .parity_texts = {}}).error().code,
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(export_model(model, {.to = DType::kQ8_0, .out = scratch / "q8", .parity_texts = {}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(count_entries(scratch.path()), 1U);
}

// The stories model as a checkpoint whose weights `change` has gone over.
void write_changed(const Path& model, const Path& folder,
                   const std::function<void(const std::string& name, std::vector<float>& numbers,
                                            std::vector<int64_t>& shape)>& change) {
  ASSERT_TRUE(copy_all(model, folder));
  const Checkpoint original = Checkpoint::open(model).value();
  std::map<std::string, SafetensorsEntry> entries;
  std::map<std::string, std::vector<float>> numbers;
  for (const std::string& name : original.tensor_names()) {
    const TensorView view = original.tensor(name).value();
    numbers[name] = to_f32(view);
    std::vector<int64_t> shape(view.shape.begin(), view.shape.end());
    change(name, numbers[name], shape);
    entries[name] = {"F32", shape, std::as_bytes(std::span(numbers[name]))};
  }
  for (const Path& path : {folder, folder / "config.json"})
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, std::filesystem::perm_options::add);
  ASSERT_TRUE(volant::remove_all(folder / "model.safetensors"));
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", entries));
}

// llama.cpp refuses a file with fewer tokens than rows.
TEST(ExportModel, RowsWithoutATokenAreNamedAsUnused) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const ScratchDir scratch;
  write_changed(model, scratch / "model", [](const std::string& name, auto& numbers, auto& shape) {
    if (name != "model.embed_tokens.weight") return;
    shape[0] += 3;
    numbers.resize(static_cast<size_t>(shape[0] * shape[1]), 0.01F);
  });
  Json config = parse_json(read_file(scratch / "model/config.json").value()).value();
  config.as_object()["vocab_size"] = 515;
  ASSERT_TRUE(write_file_atomic(scratch / "model/config.json", dump_json(config)));
  const auto done =
      export_model(scratch / "model", {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}});
  ASSERT_TRUE(done) << done.error().to_string();
  const GgufFile file = GgufFile::open(scratch / "m.gguf").value();
  const auto& tokens = std::get<std::vector<std::string>>(file.metadata().at("tokenizer.ggml.tokens"));
  const auto& types = std::get<std::vector<int64_t>>(file.metadata().at("tokenizer.ggml.token_type"));
  const auto& scores = std::get<std::vector<double>>(file.metadata().at("tokenizer.ggml.scores"));
  ASSERT_EQ(tokens.size(), 515U);
  ASSERT_EQ(types.size(), 515U);
  ASSERT_EQ(scores.size(), 515U);
  EXPECT_EQ(tokens[514], "[PAD514]");
  EXPECT_EQ(types[514], 5);  // unused
  EXPECT_EQ(scores[514], -1000);
  const auto back =
      export_model(scratch / "m.gguf", {.to = DType::kF32, .out = scratch / "hf", .parity_texts = {}});
  ASSERT_TRUE(back) << back.error().to_string();
}

// A model whose numbers do not fit f16 is another model after the export:
// refused, and nothing is left behind.
TEST(ExportModel, WhatDiffersIsRefusedAndLeavesNothing) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const ScratchDir scratch;
  // Queries of a millionth and keys a million times as large: the same model in f32, underflow in f16.
  write_changed(model, scratch / "model", [](const std::string& name, auto& numbers, auto&) {
    const float factor = name.ends_with("q_proj.weight")   ? 1e-9F
                         : name.ends_with("k_proj.weight") ? 1e9F
                                                           : 1.0F;
    for (float& x : numbers) x *= factor;
  });
  ASSERT_TRUE(make_dirs(scratch / "out"));
  ASSERT_TRUE(export_model(scratch / "model",
                           {.to = DType::kF32, .out = scratch / "out/f32.gguf", .parity_texts = {}}));
  const Error error = export_model(scratch / "model",
                                   {.to = DType::kF16, .out = scratch / "out/f16.gguf", .parity_texts = {}})
                          .error();
  EXPECT_EQ(error.code, ErrorCode::kRefused) << error.to_string();
  EXPECT_EQ(count_entries(scratch / "out"), 1U);
}

TEST(ExportModel, BadRequestsSayWhy) {
  const ScratchDir scratch;
  EXPECT_EQ(export_model("/no/such/model", {.to = DType::kF32, .out = scratch / "m.gguf", .parity_texts = {}})
                .error()
                .code,
            ErrorCode::kNotFound);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  EXPECT_EQ(
      export_model(model, {.to = DType::kI32, .out = scratch / "m.gguf", .parity_texts = {}}).error().code,
      ErrorCode::kInvalidArgument);
  EXPECT_EQ(export_model(model, {.to = DType::kF32, .out = "", .parity_texts = {}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

// Weights and vocabulary are the same; what is said to the model is not.
TEST(Parity, AnotherChatTemplateIsRefused) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const ScratchDir scratch;
  ASSERT_TRUE(copy_all(model, scratch / "model"));
  std::filesystem::permissions(scratch / "model", std::filesystem::perms::owner_all,
                               std::filesystem::perm_options::add);
  ASSERT_TRUE(write_file_atomic(scratch / "model/chat_template.jinja",
                                "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}"));
  const auto a = Engine::open(model, {.n_threads = 1}).value(),
             b = Engine::open(scratch / "model", {.n_threads = 1}).value();
  EXPECT_TRUE(compare_models(*a, *a, DType::kF32, built_in_parity_texts()).value().passed);
  const auto refused = compare_models(*a, *b, DType::kF32, built_in_parity_texts());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().message, HasSubstr("renders another prompt"));
  // Through an export the template goes along, in either format.
  for (const char* out : {"m.gguf", "hf"}) {
    const auto report =
        export_model(scratch / "model", {.to = DType::kF32, .out = scratch / out, .parity_texts = {}});
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(to_json(*report).at("conversations").as_int64(), 4);
    EXPECT_EQ(Checkpoint::open(scratch / out).value().chat_template(),
              read_file(scratch / "model/chat_template.jinja").value());
  }
}

TEST(Convert, SameTypeIsACopyAndOthersGoThroughFloat) {
  Random random(1);
  std::vector<float> numbers(4 * 64);
  for (float& x : numbers) x = static_cast<float>(random.normal());
  const TensorView view{.dtype = DType::kF32, .shape = {4, 64}, .bytes = std::as_bytes(std::span(numbers))};
  EXPECT_TRUE(std::ranges::equal(convert(view, DType::kF32), view.bytes));
  const std::vector<std::byte> q8 = convert(view, DType::kQ8_0);
  EXPECT_EQ(q8.size(), 4U * 68U);
  const TensorView quantised{.dtype = DType::kQ8_0, .shape = {4, 64}, .bytes = q8};
  const std::vector<float> back = to_f32(quantised);
  for (size_t i = 0; i < back.size(); ++i) ASSERT_NEAR(back[i], numbers[i], 0.02);
}

}  // namespace
}  // namespace volant
