// The objective on a real small model: loss and gradient against a reference that sees the model's logits
// alone, one answer at a time, and writes the papers' formulas in doubles; and whole runs that are killed.
#include "train/objectives/preference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/test_data.h"
#include "train/model_folder.h"
#include "train/test_reference.h"
#include "train/test_run.h"

namespace volant {
namespace {

constexpr int kRows = 6;

std::string question(int i) { return "Tell me a story about number " + std::to_string(i) + "."; }
std::string good(int i) {
  return "Once upon a time there was a cat who had " + std::to_string(i * 7) + " friends.";
}
std::string bad(int i) { return std::string(static_cast<size_t>(i + 1), 'x') + " no."; }

class Preference : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = testing::test_data();
    if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
    model_folder_ = *data / "models/stories260K";
    std::string pairs, judged;
    for (int i = 0; i < kRows; ++i) {
      pairs +=
          dump_json(JsonObject{{"prompt", question(i)}, {"chosen", good(i)}, {"rejected", bad(i)}}) + "\n";
      judged += dump_json(JsonObject{{"prompt", question(i)},
                                     {"completion", i % 2 == 0 ? good(i) : bad(i)},
                                     {"label", i % 2 == 0}}) +
                "\n";
    }
    ASSERT_TRUE(write_file_atomic(scratch_ / "pairs.jsonl", pairs));
    ASSERT_TRUE(write_file_atomic(scratch_ / "judged.jsonl", judged));
  }

  JsonObject job(const JsonObject& preference) const {
    const bool kto = preference.at("loss") == "kto";
    const std::string rows = (scratch_ / (kto ? "judged.jsonl" : "pairs.jsonl")).string();
    return {{"objective", "preference"},
            {"preference", preference},
            {"model", JsonObject{{"init_from", model_folder_.string()}}},
            {"data", JsonObject{{"train_rows", rows}, {"validation_rows", rows}}},
            {"dtype", "f32"},
            {"max_seq_len", 256},
            {"tokens_per_step", 100000},
            {"micro_batch_tokens", 300},
            {"steps", 12},
            {"lr", 1e-3},
            {"warmup_steps", 2},
            {"evaluate_every", 4},
            {"checkpoint_every", 3},
            {"n_threads", 1}};
  }

  Path make_run(const std::string& name, const JsonObject& job) const { return runs_.make(name, job); }
  static ProcessExit finish(const Path& run) { return testing::TrainRuns::finish(run); }
  static std::vector<Json> events(const Path& run) { return testing::TrainRuns::events(run); }

  testing::TrainRuns runs_;
  Path scratch_ = runs_.folder();
  Path model_folder_;
};

const std::vector<JsonObject>& all_losses() {
  static const std::vector<JsonObject> losses = {
      {{"loss", "dpo"}, {"beta", 0.2}, {"label_smoothing", 0.1}},
      {{"loss", "ipo"}, {"beta", 0.1}},
      {{"loss", "orpo"}, {"beta", 0.5}},
      {{"loss", "simpo"}, {"beta", 2.0}, {"gamma", 0.5}},
      {{"loss", "kto"}, {"beta", 0.1}, {"desirable_weight", 1.3}, {"undesirable_weight", 0.7}}};
  return losses;
}

// log p of an answer, from the logits of its sequence alone.
struct Answer {
  double sum = 0, n = 0;
};
class Reference {
 public:
  explicit Reference(const Path& folder)
      : tokenizer_(load_tokenizer(folder).value()), chat_(default_chat()) {}

  Answer answer(const TorchModel& model, const std::string& prompt, const std::string& text) const {
    const JsonArray messages{JsonObject{{"role", "user"}, {"content", prompt}},
                             JsonObject{{"role", "assistant"}, {"content", text}}};
    const Example example =
        conversation_example({.messages = messages, .tools = {}}, *tokenizer_, chat_).value();
    const testing::Numbers log_p = testing::log_probs_of(model, example.ids);
    Answer out;
    for (size_t i = 0; i < log_p.size(); ++i) {
      if (example.weights[i + 1] <= 0) continue;
      out.sum += log_p[i];
      ++out.n;
    }
    return out;
  }

 private:
  static ChatTemplate default_chat() { return ChatTemplate::parse(default_chat_template()).value(); }
  std::unique_ptr<Tokenizer> tokenizer_;
  ChatTemplate chat_;
};

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

// The papers' mean loss over the rows; KTO's z is given, as it is not differentiated.
double expected_loss(const JsonObject& preference, const Reference& reference, const TorchModel& model,
                     const TorchModel& start, double z) {
  const std::string loss(preference.at("loss").as_string());
  const double beta = preference.at("beta").as_double();
  double sum = 0;
  for (int i = 0; i < kRows; ++i) {
    const Answer w = reference.answer(model, question(i), good(i)),
                 l = reference.answer(model, question(i), bad(i));
    const Answer w0 = reference.answer(start, question(i), good(i)),
                 l0 = reference.answer(start, question(i), bad(i));
    const double ratio_w = w.sum - w0.sum, ratio_l = l.sum - l0.sum;
    if (loss == "dpo")
      sum += -0.9 * std::log(sigma(beta * (ratio_w - ratio_l))) -
             0.1 * std::log(sigma(beta * (ratio_l - ratio_w)));
    if (loss == "ipo") sum += std::pow(ratio_w - ratio_l - 0.5 / beta, 2);
    if (loss == "simpo") sum += -std::log(sigma(beta * w.sum / w.n - beta * l.sum / l.n - 0.5));
    if (loss == "orpo") {
      const double p = std::exp(w.sum / w.n), q = std::exp(l.sum / l.n);
      sum += -w.sum / w.n - beta * std::log(sigma(std::log(p / (1 - p)) - std::log(q / (1 - q))));
    }
    if (loss == "kto")
      sum += i % 2 == 0 ? 1.3 * (1 - sigma(beta * (ratio_w - z))) : 0.7 * (1 - sigma(beta * (z - ratio_l)));
  }
  return sum / kRows;
}

// Mean log ratio of the next prompt's answers to each prompt, 0 at least.
double expected_divergence(const Reference& reference, const TorchModel& model, const TorchModel& start) {
  double sum = 0;
  for (int i = 0; i < kRows; ++i) {
    const int other = (i + 1) % kRows;
    const std::string text = other % 2 == 0 ? good(other) : bad(other);
    sum += reference.answer(model, question(i), text).sum - reference.answer(start, question(i), text).sum;
  }
  return std::max(0.0, sum / kRows);
}

// The reference is the model of the start: with adapters, the frozen base without them.
void expect_the_papers(const JsonObject& json, const Path& scratch, const Path& start_folder) {
  const JsonObject& preference = json.at("preference").as_object();
  const Reference reference(start_folder);
  const TorchModel start = open_torch_model(start_folder, false).value();
  const auto run = testing::PreparedRun::make(json, scratch);
  TorchModel& model = *run->model;
  // Somewhere else than the reference.
  testing::move(model, testing::random_direction(model, 11), run->job.trained.adapter ? 0.02F : 0.005F);
  const double z = expected_divergence(reference, model, start);
  const auto expected = [&](const TorchModel& now) {
    return expected_loss(preference, reference, now, start, z);
  };
  const double loss = expected(model);
  const Evaluation evaluation = run->objective->evaluate(model).value();
  EXPECT_NEAR(evaluation.loss, loss, 2e-4 * (1 + std::abs(loss)));
  if (preference.at("loss") == "kto") {
    EXPECT_NEAR(evaluation.metrics.at("divergence").as_double(), z, 1e-3);
  }
  testing::expect_loss_and_gradient(*run->objective, model, expected);
}

TEST_F(Preference, LossAndGradientAreThoseOfThePapers) {
  for (const JsonObject& preference : all_losses()) {
    SCOPED_TRACE(dump_json(preference));
    std::filesystem::remove(scratch_ / "reference.json");
    expect_the_papers(job(preference), scratch_, model_folder_);
  }
}

TEST_F(Preference, WithAnAdapterTheReferenceIsTheBaseWithoutIt) {
  for (const JsonObject& preference : all_losses()) {
    const auto& loss = preference.at("loss").as_string();
    if (loss != "dpo" && loss != "kto" && loss != "ipo") continue;
    for (const char* kind : {"lora", "rslora"}) {
      SCOPED_TRACE(dump_json(preference) + " " + kind);
      std::filesystem::remove(scratch_ / "reference.json");
      JsonObject with_adapter = job(preference);
      with_adapter["adapter"] = JsonObject{{"kind", kind}, {"r", 4}, {"alpha", 4}};
      expect_the_papers(with_adapter, scratch_, model_folder_);
    }
  }
}

TEST_F(Preference, KilledAtAnyMomentEachLossGoesOnBitForBit) {
  for (const JsonObject& preference : all_losses()) {
    SCOPED_TRACE(dump_json(preference));
    JsonObject small_steps = job(preference);
    small_steps["tokens_per_step"] = 200;  // several steps an epoch, in the order of the seed
    testing::TrainRuns().expect_exact_resume(small_steps, {8});
  }
}

TEST_F(Preference, TheReferenceIsReadAgainUnlessItIsOfOtherRows) {
  JsonObject dpo = job({{"loss", "dpo"}});
  const Path run = make_run("run", dpo), file = run / "reference.json";
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  const std::string first = read_file(file).value();
  const auto written = std::filesystem::last_write_time(file);
  std::filesystem::remove_all(run / "model");
  ASSERT_EQ(finish(run).status, 0);
  EXPECT_EQ(std::filesystem::last_write_time(file), written) << "read, not computed";
  // Damaged: computed again from the starting weights, not from the trained ones.
  ASSERT_TRUE(write_file_atomic(file, first.substr(0, first.size() / 2)));
  std::filesystem::remove_all(run / "model");
  ASSERT_EQ(finish(run).status, 0);
  EXPECT_EQ(read_file(file).value(), first);
  // Other rows, another key.
  const Path other = make_run("other", dpo);
  ASSERT_TRUE(write_file_atomic(other / "reference.json", first));
  ASSERT_TRUE(write_file_atomic(scratch_ / "pairs.jsonl",
                                R"({"prompt": "Hello.", "chosen": "Hi there.", "rejected": "xx"})"
                                "\n"));
  ASSERT_EQ(finish(other).status, 0);
  EXPECT_NE(read_file(other / "reference.json").value(), first);
}

TEST_F(Preference, EachLossPutsTheChosenAnswersAhead) {
  for (const JsonObject& preference : all_losses()) {
    SCOPED_TRACE(dump_json(preference));
    const Path run = make_run("learn-" + std::string(preference.at("loss").as_string()), job(preference));
    ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
    std::vector<Json> evaluations;
    for (const Json& event : events(run))
      if (json_string(event, "type").value() == "eval") evaluations.push_back(event);
    ASSERT_GE(evaluations.size(), 2U);
    EXPECT_EQ(json_int(evaluations.front(), "step").value(), 0) << "what the starting weights give";
    EXPECT_LT(json_number(evaluations.back(), "loss").value(),
              json_number(evaluations.front(), "loss").value());
    if (preference.at("loss") == "dpo" || preference.at("loss") == "ipo") {
      EXPECT_EQ(evaluations.front().at("metrics").at("accuracy").at("value").to_number<double>(), 0.5)
          << "against itself a model has no rewards, and rounding is none";
    }
    const Json& accuracy = evaluations.back().at("metrics").at("accuracy");
    EXPECT_EQ(accuracy.at("value").to_number<double>(), 1.0);
    EXPECT_LE(accuracy.at("ci95").at(0).to_number<double>(), 1.0);
  }
}

TEST_F(Preference, WrongJobsAndRowsAreRefusedByName) {
  const auto refusal = [&](const char* name, const JsonObject& job) {
    const Path run = make_run(name, job);
    EXPECT_NE(finish(run).status, 0) << name;
    return read_file(run / "stderr.txt").value_or("");
  };
  JsonObject broken = job({{"loss", "dpo"}, {"gamma", 1}});
  EXPECT_THAT(refusal("gamma", broken), ::testing::HasSubstr("gamma"));
  EXPECT_THAT(refusal("loss", job({{"loss", "ppo"}})), ::testing::HasSubstr("dpo, ipo, kto, orpo, simpo"));
  broken = job({{"loss", "dpo"}});
  broken["z_loss"] = 0.1;
  EXPECT_THAT(refusal("z_loss", broken), ::testing::HasSubstr("z_loss"));
  broken = job({{"loss", "kto"}});
  broken["preference"] = JsonObject{{"loss", "simpo"}};
  EXPECT_THAT(refusal("labels", broken), ::testing::HasSubstr("judged.jsonl:1"));
  broken = job({{"loss", "dpo"}});
  broken["max_seq_len"] = 4;
  EXPECT_THAT(refusal("short", broken), ::testing::HasSubstr("max_seq_len 4"));
  broken = job({{"loss", "dpo"}});
  broken["objective"] = "sft";
  EXPECT_THAT(refusal("sft", broken), ::testing::HasSubstr("'preference'"));
}

}  // namespace
}  // namespace volant
