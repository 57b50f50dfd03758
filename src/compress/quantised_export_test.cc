// Quantised formats on real models, their mixes, and what calibration gives.
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "compress/calibrate.h"
#include "compress/export.h"
#include "compress/parity.h"
#include "io/gguf.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDir;

// Every quantised format on real models: within its bound, no larger than its name says, and read back.
class QuantisedExport : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Formats, QuantisedExport,
                         ::testing::Values("q6_K", "q5_K_M", "q5_K_S", "q5_1", "q5_0", "q4_K_M", "q4_K_S",
                                           "q4_1", "q4_0", "iq4_nl", "q3_K_M", "q3_K_S", "q2_K"),
                         [](const auto& param) { return param.param; });

TEST_P(QuantisedExport, RealModelsStayWithinTheBoundOfTheFormat) {
  VOLANT_DATA_OR_SKIP(models, "models");
  const ExportFormat format = ExportFormat::from_name(GetParam()).value();
  const std::set<std::string> on_both{"q6_K", "q5_K_M", "q4_K_M", "q4_0", "q3_K_M", "q2_K"};
  std::vector<std::string> tried{"stories15M"};
  if (on_both.contains(GetParam())) tried.emplace_back("minimind2-small");
  for (const std::string& model : tried) {
    const ScratchDir scratch;
    const Result<ParityReport> report =
        export_model(models / model, {.to = format, .out = scratch / "m.gguf", .parity_texts = {}});
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_GT(report->mean_kl, report->max_mean_kl_allowed / 50);  // the bound says something
    EXPECT_EQ(report->max_mean_kl_allowed, parity_bound(format).max_mean_kl);
    const GgufFile file = GgufFile::open(scratch / "m.gguf").value();
    EXPECT_EQ(file.get_int("general.file_type").value(), format.file_type());
    int64_t tensors = 0;
    for (const auto& [type, n] : report->tensors) tensors += n;
    EXPECT_EQ(tensors, static_cast<int64_t>(file.tensors().size()));
    // 288 columns: no block of 256 divides them.
    const bool k_type = GetParam().find("_K") != std::string::npos;
    EXPECT_EQ(report->notes.empty(), model != "stories15M" && !k_type) << model;
  }
}

TEST(ExportFormat, MixesGiveMoreBitsWhereErrorsCostMost) {
  const ExportFormat mix = ExportFormat::from_name("q4_K_M").value();
  const auto type = [&](const char* name, const TensorSpec& spec, bool is_head = false) {
    return mix.choose(spec, name, is_head, 32).dtype;
  };
  const TensorSpec square = matrix("m", 512, 512);
  EXPECT_EQ(type("blk.0.attn_q.weight", square), DType::kQ4_K);
  EXPECT_EQ(type("blk.0.attn_v.weight", square), DType::kQ6_K);     // first eighth
  EXPECT_EQ(type("blk.31.ffn_down.weight", square), DType::kQ6_K);  // last eighth
  EXPECT_EQ(type("blk.5.ffn_down.weight", square), DType::kQ4_K);
  EXPECT_EQ(type("blk.6.ffn_down.weight", square), DType::kQ6_K);  // every third between
  EXPECT_EQ(type("output.weight", lm_head("h", 512, 512), true), DType::kQ6_K);
  EXPECT_EQ(type("token_embd.weight", embedding("e", 512, 512)), DType::kQ4_K);
  EXPECT_EQ(type("token_embd.weight", embedding("e", 512, 512), true), DType::kQ6_K);
  EXPECT_EQ(type("position_embd.weight", embedding("p", 512, 512)), DType::kF32);
  EXPECT_EQ(type("blk.0.attn_norm.weight", norm("n", 512)), DType::kF32);
  EXPECT_EQ(type("blk.5.attn_q.weight", matrix("m", 512, 288)), DType::kQ5_0);
  EXPECT_EQ(type("blk.5.attn_q.weight", matrix("m", 512, 50)), DType::kF16);
}

// The table of io and that of tensor are two, as the rooms are: a file of every type is written and read with
// the sizes of the other.
TEST(NumberTypes, FilesHoldEveryTypeInItsSize) {
  const ScratchDir scratch;
  for (int type = 0; type < kDTypes; ++type) {
    const DTypeInfo& info = dtype_info(static_cast<DType>(type));
    const std::vector<std::byte> bytes(static_cast<size_t>(3 * 2 * info.block_bytes), std::byte{7});
    const Status written = write_gguf(scratch / "t.gguf", {},
                                      {{"t", static_cast<GgmlType>(info.ggml), {3, 2 * info.block}, bytes}});
    ASSERT_TRUE(written) << info.name << ": " << written.error().to_string();
    const GgufFile file = GgufFile::open(scratch / "t.gguf").value();
    const GgufTensor& tensor = file.tensors().at("t");
    EXPECT_EQ(dtype_from_ggml(static_cast<uint32_t>(tensor.type)).value(), static_cast<DType>(type));
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, bytes));
  }
}

TEST(ExportFormat, UnknownNamesSayTheKnownOnes) {
  const Error error = ExportFormat::from_name("q4_k_m").error();
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("did you mean 'q4_K_M'"));
  EXPECT_FALSE(ExportFormat::from_name("iq2_xxs"));
  EXPECT_FALSE(ExportFormat::from_name("i32"));
}

// Texts that the model tells itself.
std::vector<std::string> told_by(Engine& engine, int n, uint64_t first_seed) {
  std::vector<std::string> texts;
  for (int i = 0; i < n; ++i) {
    GenerateRequest request{.prompt = engine.tokenizer().encode("Once upon a time"), .max_tokens = 200};
    request.sampling.seed = first_seed + static_cast<uint64_t>(i);
    texts.push_back("Once upon a time" + engine.generate(request).value().text);
  }
  return texts;
}

TEST(ExportModel, CalibrationLowersTheDivergenceAtTheSameSize) {
  VOLANT_DATA_OR_SKIP(model, "models/stories15M");
  const std::unique_ptr<Engine> engine = Engine::open(model, {.n_threads = 0, .n_slots = 1}).value();
  const std::vector<std::string> seen = told_by(*engine, 32, 1), unseen = told_by(*engine, 8, 100);
  for (const char* name : {"q4_0", "iq4_nl"}) {
    const ScratchDir scratch;
    const ExportFormat format = ExportFormat::from_name(name).value();
    const ParityReport plain =
        export_model(model, {.to = format, .out = scratch / "a.gguf", .parity_texts = unseen}).value();
    const ParityReport calibrated =
        export_model(
            model,
            {.to = format, .out = scratch / "b.gguf", .parity_texts = unseen, .calibration_texts = seen})
            .value();
    EXPECT_EQ(calibrated.bytes, plain.bytes);
    EXPECT_LT(calibrated.mean_kl, 0.95 * plain.mean_kl) << name;
  }
}

TEST(ExportModel, TooLittleCalibrationIsRefused) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const ScratchDir scratch;
  const Result<ParityReport> report = export_model(model, {.to = DType::kQ4_0,
                                                           .out = scratch / "m.gguf",
                                                           .parity_texts = {},
                                                           .calibration_texts = {"Too short."}});
  EXPECT_EQ(report.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

// The mean square of every input, from a model whose first product is known: the normed embedding.
TEST(Importance, IsTheMeanSquareOfEachInput) {
  VOLANT_DATA_OR_SKIP(path, "models/stories260K");
  const Checkpoint model = Checkpoint::open(path).value();
  const std::string text =
      "Once upon a time there was a little girl who liked to play in the garden with her dog.";
  const std::vector<std::string> texts(16, text);
  const Importance importance = collect_importance(model, texts).value();
  EXPECT_EQ(importance.size(), 5U * 7U + 1U);  // the tied embedding is the head
  const std::vector<float> embedding = to_f32(model.tensor("model.embed_tokens.weight").value());
  const std::vector<float> weight = to_f32(model.tensor("model.layers.0.input_layernorm.weight").value());
  const std::vector<int32_t> ids = model.tokenizer().value()->encode(text);
  const size_t width = weight.size();
  std::vector<double> expected(width);
  for (const int32_t id : ids) {
    const float* x = embedding.data() + static_cast<size_t>(id) * width;
    double square = 0;
    for (size_t i = 0; i < width; ++i) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const double norm = std::sqrt(square / static_cast<double>(width) + 1e-5);
    for (size_t i = 0; i < width; ++i) {
      const double y = static_cast<double>(x[i]) / norm * static_cast<double>(weight[i]);
      expected[i] += y * y / static_cast<double>(ids.size());
    }
  }
  const std::vector<float>& got = importance.at("model.layers.0.self_attn.q_proj.weight");
  for (size_t i = 0; i < width; ++i) ASSERT_NEAR(got[i], expected[i], 1e-4 * expected[i] + 1e-7);
  EXPECT_EQ(importance.at("model.layers.0.self_attn.k_proj.weight"), got);
}

}  // namespace
}  // namespace volant
