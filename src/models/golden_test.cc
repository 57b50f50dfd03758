// The native models against the golden outputs (float64 reference): logits, losses and greedy ids, on every
// instruction set that the processor has.
#include <gtest/gtest.h>

#include "kernels/kernels.h"
#include "models/instances/native.h"
#include "support/golden_logits.h"
#include "support/npy.h"
#include "support/test_data.h"

namespace volant {
namespace {

using testing::expect_losses;
using testing::ids_of;
using testing::nll;
using testing::read_npy;

std::vector<int32_t> count_up(size_t n, int32_t from = 0) {
  std::vector<int32_t> numbers(n);
  for (size_t i = 0; i < n; ++i) numbers[i] = from + static_cast<int32_t>(i);
  return numbers;
}

// All logits of a text without a cache.
std::vector<float> all_logits(NativeModel& model, const std::vector<int32_t>& ids) {
  const std::vector<int32_t> pos = count_up(ids.size()), ends{0, static_cast<int32_t>(ids.size())};
  const auto logits =
      model.logits({.tokens = ids, .pos = pos, .seq_begin = ends, .kv_slot = {}, .out_rows = pos});
  return {logits.begin(), logits.end()};
}

class EachIsa : public ::testing::TestWithParam<const Kernels*> {
 protected:
  EachIsa() { EXPECT_TRUE(force_kernels(GetParam()->name)); }
  ~EachIsa() override { EXPECT_TRUE(force_kernels(host_kernels().back()->name)); }

  static std::unique_ptr<NativeModel> load(const Path& path, int64_t n_slot = 0) {
    const Checkpoint checkpoint = Checkpoint::open(path).value();
    return NativeModel::load(checkpoint, {.n_threads = 2, .n_slot = n_slot, .n_ctx = 256}).value();
  }
};

INSTANTIATE_TEST_SUITE_P(Host, EachIsa, ::testing::ValuesIn(host_kernels().begin(), host_kernels().end()),
                         [](const auto& table) { return std::string(table.param->name); });

TEST_P(EachIsa, TinyModelsGiveTheGoldenLogits) {
  for (const char* name : {"tiny-gpt2", "tiny-gpt2-bare-names", "tiny-llama-gqa", "tiny-llama3-rope",
                           "tiny-mistral", "tiny-qwen2", "tiny-qwen3"}) {
    SCOPED_TRACE(name);
    const bool bare = std::string_view(name) == "tiny-gpt2-bare-names";  // the same weights
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + (bare ? "tiny-gpt2" : name));
    const auto model = load(golden_root->string() + "/models/" + name);
    const Json json = parse_json(read_file(golden / "golden.json").value()).value();
    const std::vector<int32_t> ids = ids_of(json.at("ids"));
    const std::vector<float> logits = all_logits(*model, ids), expected = read_npy(golden / "logits.npy");
    ASSERT_EQ(logits.size(), expected.size());
    for (size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 1e-4) << i;
    expect_losses(logits, ids, json.at("nll"));
  }
}

TEST_P(EachIsa, RealModelsGiveTheGoldenLossesAndLogits) {
  for (const char* name : {"stories260K", "stories15M", "minimind2-small"}) {
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + name);
    const auto model = load(golden_root->string() + "/models/" + name);
    const bool slow = std::string_view(GetParam()->name) == "generic";
    testing::expect_golden_logits(
        golden, [&](const std::vector<int32_t>& ids) { return all_logits(*model, ids); }, slow);
  }
}

// Logits of the last row of each sequence, all in one batch.
std::vector<float> last_logits(NativeModel& model, const std::vector<std::vector<int32_t>>& sequences) {
  std::vector<int32_t> tokens, pos, begins{0}, slots, outs;
  for (const std::vector<int32_t>& ids : sequences) {
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    const std::vector<int32_t> own = count_up(ids.size());
    pos.insert(pos.end(), own.begin(), own.end());
    begins.push_back(static_cast<int32_t>(tokens.size()));
    slots.push_back(static_cast<int32_t>(slots.size()));
    outs.push_back(begins.back() - 1);
  }
  const auto logits =
      model.logits({.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = slots, .out_rows = outs});
  return {logits.begin(), logits.end()};
}

TEST_P(EachIsa, ASequenceGivesTheSameBitsAloneAndBesideOthersInEveryType) {
  VOLANT_DATA_OR_SKIP(path, "models/tiny-llama-gqa");
  const Checkpoint checkpoint = Checkpoint::open(path).value();
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0}) {
    const auto model =
        NativeModel::load(checkpoint, {.n_threads = 2, .n_slot = 6, .n_ctx = 256, .dtype = dtype}).value();
    std::vector<std::vector<int32_t>> sequences;
    for (const size_t n : {1, 7, 64, 3, 130, 20}) sequences.push_back(count_up(n, static_cast<int32_t>(n)));
    const std::vector<float> together = last_logits(*model, sequences);
    for (size_t i = 0; i < sequences.size(); ++i) {
      const std::vector<float> alone = last_logits(*model, {sequences[i]});
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                             together.begin() + static_cast<std::ptrdiff_t>(i * alone.size())))
          << dtype_info(dtype).name << " sequence " << i;
    }
  }
}

TEST_P(EachIsa, SmallerTypesStayCloseToTheGoldenLosses) {
  if (std::string_view(GetParam()->name) == "generic")
    GTEST_SKIP() << "the generic kernels take minutes for it; the tables of every instruction set run it";
  VOLANT_DATA_OR_SKIP(golden, "golden/stories15M");
  const Checkpoint checkpoint = Checkpoint::open(golden_root->string() + "/models/stories15M").value();
  const Json json = parse_json(read_file(golden / "logits.json").value()).value();
  const Json& test = json.at("cases").as_array()[0];
  const std::vector<int32_t> ids = ids_of(test.at("ids"));
  for (const DType dtype : {DType::kBF16, DType::kQ8_0}) {
    const auto model = NativeModel::load(checkpoint, {.n_threads = 2, .dtype = dtype}).value();
    const std::vector<float> logits = all_logits(*model, ids);
    const size_t n_vocab = logits.size() / ids.size();
    double mean = 0;
    for (size_t t = 0; t + 1 < ids.size(); ++t)
      mean += nll({logits.data() + t * n_vocab, n_vocab}, ids[t + 1]);
    mean /= static_cast<double>(ids.size() - 1);
    EXPECT_NEAR(mean, test.at("nll_mean").to_number<double>(), 0.03) << dtype_info(dtype).name;
  }
}

// Greedy decoding through the cache, one token at a time after the prompt.
std::vector<int32_t> greedy(NativeModel& model, const std::vector<int32_t>& prompt,
                            const std::vector<int32_t>& stop, int64_t max_tokens) {
  std::vector<int32_t> answer, rows = prompt;
  int32_t pos = 0;
  const std::vector<int32_t> slot{1};
  while (static_cast<int64_t>(answer.size()) < max_tokens) {
    const std::vector<int32_t> positions = count_up(rows.size(), pos),
                               ends{0, static_cast<int32_t>(rows.size())};
    const std::vector<int32_t> last{static_cast<int32_t>(rows.size()) - 1};
    const auto logits = model.logits(
        {.tokens = rows, .pos = positions, .seq_begin = ends, .kv_slot = slot, .out_rows = last});
    const auto id =
        static_cast<int32_t>(kernels().argmax(logits.data(), static_cast<int64_t>(logits.size())));
    answer.push_back(id);
    if (std::find(stop.begin(), stop.end(), id) != stop.end()) break;
    pos += static_cast<int32_t>(rows.size());
    rows = {id};
  }
  return answer;
}

TEST_P(EachIsa, RealModelsGiveTheGoldenGreedyIds) {
  for (const char* name : {"stories260K", "stories15M", "minimind2-small"}) {
    if (std::string_view(GetParam()->name) == "generic" && name != std::string_view("stories260K")) continue;
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + name);
    const auto model = load(golden_root->string() + "/models/" + name, 2);
    const Json json = parse_json(read_file(golden / "greedy.json").value()).value();
    for (const Json& test : json.at("cases").as_array()) {
      EXPECT_EQ(greedy(*model, ids_of(test.at("prompt_ids")), ids_of(test.at("stop_ids")),
                       test.at("max_tokens").as_int64()),
                ids_of(test.at("output_ids")));
    }
  }
}

}  // namespace
}  // namespace volant
