// The parity of a merged model: it passes for what was merged, of every kind and base, and refuses what is
// another model, or speaks through another template; and a run leaves its result beside the model.
#include "train/merge_parity.h"

#include <gmock/gmock.h>

#include <limits>

#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "support/test_data.h"
#include "train/test_reference.h"
#include "train/test_run.h"
#include "train/train_state.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

class MergeParity : public ::testing::Test {
 protected:
  void SetUp() override {
    VOLANT_DATA_OR_SKIP(stories, "models/stories260K");
    stories_ = stories;
    ASSERT_TRUE(write_file_atomic(runs_.folder() / "rows.jsonl",
                                  R"({"prompt": "Who are you?", "completion": "I am a cat of the house."})"
                                  "\n"));
  }
  JsonObject job(const char* adapter) const {
    return {{"objective", "sft"},
            {"model", JsonObject{{"init_from", stories_.string()}}},
            {"data", JsonObject{{"train_rows", (runs_.folder() / "rows.jsonl").string()}}},
            {"adapter", parse_json(adapter).value()},
            {"max_seq_len", 64},
            {"tokens_per_step", 64},
            {"steps", 4},
            {"lr", 1e-2},
            {"n_threads", 1}};
  }
  // A run whose adapter has moved, and its merged folder.
  std::unique_ptr<testing::PreparedRun> moved(const JsonObject& job, const Path& merged) const {
    auto run = testing::PreparedRun::make(job, runs_.folder());
    testing::move(*run->model, testing::random_direction(*run->model, 7), 0.05F);
    EXPECT_TRUE(write_model_folder(merged, run->job, *run->model, run->tokenizer.get()));
    return run;
  }
  Result<ParityReport> parity(testing::PreparedRun& run, const Path& merged) const {
    return merged_parity(run.job, *run.model, *run.tokenizer, merged);
  }

  testing::TrainRuns runs_;
  Path stories_;
};

TEST_F(MergeParity, PassesForEveryKindOfAdapterOnEveryBase) {
  for (const char* kind : {"lora", "rslora", "dora"})
    for (const int bits : {32, 16, 8, 4}) {
      SCOPED_TRACE(fmt::format("{} beside {} bits", kind, bits));
      const Path merged = runs_.folder() / fmt::format("{}-{}", kind, bits);
      const auto run = moved(
          job(fmt::format(R"({{"kind": "{}", "r": 4, "alpha": 4, "base_bits": {}}})", kind, bits).c_str()),
          merged);
      const ParityReport report = parity(*run, merged).value();
      EXPECT_TRUE(report.passed) << dump_json(to_json(report));
      EXPECT_TRUE(check_merged(report));
      EXPECT_LE(report.max_logit_error, 1e-3);
      EXPECT_EQ(report.greedy_agreement, 1);
      EXPECT_EQ(report.conversations, 4);
      EXPECT_GT(report.positions, 400);
      EXPECT_EQ(report.format, "f32");
    }
}

TEST_F(MergeParity, ASmallChangeOfOneMatrixIsRefusedWithTheNumbers) {
  const Path merged = runs_.folder() / "merged";
  const auto run = moved(job(R"({"kind": "lora", "r": 4})"), merged);
  const size_t i = run->model->tensors().size() / 2;
  std::map<std::string, std::vector<float>> numbers;
  std::map<std::string, SafetensorsEntry> entries;
  for (size_t t = 0; t < run->model->tensors().size(); ++t) {
    const TensorSpec& spec = run->model->tensors()[t];
    std::vector<float>& all = numbers[spec.name] = run->model->merged(t);
    if (t == i)
      for (float& x : all) x *= 1.01F;  // as a scale that was forgotten would
    entries[spec.name] = {"F32", spec.shape, std::as_bytes(std::span<const float>(all))};
  }
  ASSERT_TRUE(write_safetensors(merged / "model.safetensors", entries));
  const ParityReport report = parity(*run, merged).value();
  EXPECT_FALSE(report.passed);
  const Status refused = check_merged(report);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().message, HasSubstr("mean divergence"));
  EXPECT_THAT(refused.error().message, HasSubstr(fmt::format("{:.3g}", report.max_logit_error)));
}

TEST_F(MergeParity, AnotherTemplateOrVocabularyIsRefused) {
  const Path merged = runs_.folder() / "merged";
  const auto run = moved(job(R"({"kind": "lora", "r": 4})"), merged);
  ASSERT_TRUE(
      write_file_atomic(merged / "chat_template.jinja",
                        "{% for m in messages %}{{ m['role'] }} says {{ m['content'] }}{% endfor %}"));
  auto refused = parity(*run, merged);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().message, HasSubstr("renders another prompt"));
}

TEST_F(MergeParity, ARunLeavesItBesideTheModelAndInItsEvents) {
  for (const char* dtype : {"f32", "auto"}) {
    SCOPED_TRACE(dtype);
    JsonObject some = job(R"({"kind": "dora", "r": 4})");
    some["dtype"] = dtype;
    const Path run = runs_.make(dtype, some);
    ASSERT_EQ(runs_.finish(run).status, 0) << runs_.errors(run);
    const Json parity = parse_json(read_file(TrainFiles{run}.parity()).value()).value();
    EXPECT_TRUE(json_bool(parity, "passed").value());
    EXPECT_EQ(json_number(parity, "greedy_agreement").value(), 1);
    EXPECT_GT(json_int(parity, "conversations").value(), 0);
    const std::vector<Json> events = runs_.events(run);
    const Json& event = events[events.size() - 2];
    EXPECT_EQ(json_string(event, "type").value(), "parity");
    EXPECT_EQ(json_number(event, "max_logit_error").value(), json_number(parity, "max_logit_error").value());
    EXPECT_EQ(json_string(events.back(), "status").value(), "finished");
  }
}

// Queries of a billionth and keys a billion times as large: the same model in f32, nothing of it in f16.
TEST_F(MergeParity, ARunWhoseMergedModelIsAnotherOneFailsAndKeepsTheAdapter) {
  const Path base = runs_.folder() / "base";
  ASSERT_TRUE(copy_all(stories_, base));
  std::filesystem::permissions(base, std::filesystem::perms::owner_all, std::filesystem::perm_options::add);
  const Checkpoint original = Checkpoint::open(stories_).value();
  std::map<std::string, std::vector<float>> numbers;
  std::map<std::string, SafetensorsEntry> entries;
  for (const TensorSpec& spec : tensor_specs(original.config())) {
    std::vector<float>& all = numbers[spec.name] = to_f32(original.tensor(spec.name).value());
    for (float& x : all)
      x *= spec.name.ends_with("q_proj.weight") ? 1e-9F : spec.name.ends_with("k_proj.weight") ? 1e9F : 1.0F;
    entries[spec.name] = {"F32", spec.shape, std::as_bytes(std::span<const float>(all))};
  }
  ASSERT_TRUE(volant::remove_all(base / "model.safetensors"));
  ASSERT_TRUE(write_safetensors(base / "model.safetensors", entries));
  JsonObject half = job(R"({"kind": "lora", "r": 4, "target_modules": ["v_proj"]})");
  half["model"] = JsonObject{{"init_from", base.string()}};
  half["save_dtype"] = "f16";
  const Path run = runs_.make("run", half);
  EXPECT_NE(runs_.finish(run).status, 0);
  EXPECT_FALSE(std::filesystem::exists(run / "model"));
  EXPECT_TRUE(std::filesystem::exists(run / "adapter/adapter_model.safetensors"));
  const Json last = runs_.events(run).back();
  EXPECT_EQ(json_string(last, "status").value(), "failed");
  EXPECT_THAT(json_string(last, "error").value(), HasSubstr("merged"));
}

}  // namespace
}  // namespace volant
