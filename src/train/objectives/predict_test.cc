// Predictions as whole runs on small tables and texts: they learn what can be learned, go on exactly after
// SIGKILL, and leave a folder that predicts the same without libtorch.
#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "models/checkpoint.h"
#include "support/test_data.h"
#include "tasks/predictor.h"
#include "train/test_run.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTableData = R"({"train": ["none.csv"], "label": "label", "min_count": 1})";

class Predict : public ::testing::Test {
 protected:
  // Rows as a file, and the task's encoder learned from them.
  Path write(const std::string& name, const std::vector<TaskRow>& rows) {
    std::string text;
    for (const TaskRow& row : rows) text += dump_json(to_json(row)) + "\n";
    EXPECT_TRUE(write_file_atomic(runs_.folder() / name, text));
    return runs_.folder() / name;
  }
  Path learn(const char* task, const Json& data, const Json& model, const std::vector<TaskRow>& rows) {
    const Path folder = runs_.folder() / "encoder";
    EXPECT_TRUE(make_dirs(folder));
    const auto encoder = find_task(task)->learn(data, model, runs_.folder(), rows);
    EXPECT_TRUE(encoder) << encoder.error().to_string();
    EXPECT_TRUE((*encoder)->save(folder));
    return folder;
  }
  // An MLP on a table.
  JsonObject table_job(const std::vector<TaskRow>& rows, const char* layers) {
    return {{"objective", "predict"},
            {"task", "table"},
            {"encoder", learn("table", parse_json(kTableData).value(), JsonObject{}, rows).string()},
            {"model", JsonObject{{"config", JsonObject{{"layers", parse_json(layers).value()}}}}},
            {"data", JsonObject{{"train_rows", write("train.jsonl", rows).string()},
                                {"validation_rows", write("validation.jsonl", rows).string()}}},
            {"predict", JsonObject{{"batch_size", 16}}},
            {"optimizer", "adam"},
            {"weight_decay", 0},
            {"beta2", 0.999},
            {"lr", 0.01},
            {"warmup_steps", 0},
            {"epochs", 30},
            {"evaluate_every", 100},
            {"checkpoint_every", 20},
            {"dtype", "f32"},
            {"n_threads", 1}};
  }
  Path finished(const std::string& name, const JsonObject& job) {
    const Path run = runs_.make(name, job);
    EXPECT_EQ(runs_.finish(run).status, 0) << runs_.errors(run);
    return run;
  }
  std::string refusal(const JsonObject& job) {
    const Path run = runs_.make("refused" + std::to_string(n_refused_++), job);
    EXPECT_NE(runs_.finish(run).status, 0);
    return runs_.errors(run);
  }
  static Json last_evaluation(const Path& run) {
    Json last;
    for (const Json& event : testing::TrainRuns::events(run))
      if (json_string(event, "type").value() == "eval") last = event;
    return last;
  }
  static double figure(const Path& run, const char* name) {
    return last_evaluation(run).at("metrics").at(name).at("value").to_number<double>();
  }
  static Json parity(const Path& run) { return parse_json(read_file(run / "parity.json").value()).value(); }

  testing::TrainRuns runs_;
  int n_refused_ = 0;
};

TaskRow row_of(double a, double b, const std::string& label) {
  TaskRow row;
  row.input = JsonObject{{"a", a}, {"b", b}};
  row.label = label;
  return row;
}

// Two labels that no line parts: exclusive or.
std::vector<TaskRow> exclusive_or(int n) {
  std::vector<TaskRow> rows;
  Random random(5);
  for (int i = 0; i < n; ++i) {
    const bool a = random.below(2) == 1, b = random.below(2) == 1;
    rows.push_back(row_of((a ? 1 : -1) + 0.2 * random.normal(), (b ? 1 : -1) + 0.2 * random.normal(),
                          a != b ? "different" : "same"));
  }
  return rows;
}

constexpr const char* kTwoLayers =
    R"([{"type": "dense", "units": 16}, {"type": "relu"}, {"type": "dropout", "p": 0.1}])";

// Everything that is random at once, and killed several times.
TEST_F(Predict, AnMlpLearnsExclusiveOrAndGoesOnBitForBitAfterSigkill) {
  JsonObject job = table_job(exclusive_or(160), kTwoLayers);
  job["predict"] =
      parse_json(R"({"batch_size": 16, "augment": {"noise": 0.1, "drop": 0.02}, "input_noise": 0.05,
    "gradient_noise": 1e-4, "l1": 1e-5, "adversarial": {"epsilon": 0.05, "share": 0.3}})")
          .value();
  job["label_smoothing"] = 0.02;
  job["ema_decay"] = 0.9;
  runs_.expect_exact_resume(job, {8, 60, 130});
  const Path run = runs_.folder() / "whole";
  EXPECT_EQ(figure(run, "accuracy"), 1);
  EXPECT_EQ(figure(run, "macro_f1"), 1);
  EXPECT_EQ(figure(run, "auc"), 1);
  const Checkpoint model = Checkpoint::open(run / "model").value();
  EXPECT_EQ(model.config().labels, (std::vector<std::string>{"different", "same"}));
  EXPECT_EQ(parity(run).at("rows").as_int64(), 160);
  EXPECT_EQ(parity(run).at("same_best").to_number<double>(), 1);
  EXPECT_LT(parity(run).at("relative").to_number<double>(), 1e-4);
  for (const Json& event : runs_.events(run))
    if (json_string(event, "type").value() == "start") {
      EXPECT_EQ(event.at("unit").as_string(), "examples");
      EXPECT_EQ(event.at("tokens_per_step").as_int64(), 16);
    }
  EXPECT_THAT(runs_.errors(run), HasSubstr("different")) << "the plan shows rows with their labels";
  const auto predictor = Predictor::load(run / "model").value();
  const Json there[] = {JsonObject{{"a", 1}, {"b", -1}}, JsonObject{{"a", -1}, {"b", -1}}};
  const auto answers = predictor->predict(there).value();
  EXPECT_EQ(predictor->labels()[static_cast<size_t>(answers[0].best)], "different");
  EXPECT_EQ(predictor->labels()[static_cast<size_t>(answers[1].best)], "same");
}

TEST_F(Predict, OneScoreOfTwoLabelsAndAccuracyAsTheJudge) {
  JsonObject job = table_job(exclusive_or(160), kTwoLayers);
  job["model"].at("config").as_object()["problem_type"] = "binary_classification";
  job["predict"] = JsonObject{{"batch_size", 16}, {"judge_by", "accuracy"}};
  const Path run = finished("run", job);
  EXPECT_EQ(figure(run, "accuracy"), 1);
  EXPECT_EQ(figure(run, "auc"), 1);
  EXPECT_EQ(json_number(runs_.events(run).back(), "best_loss").value(), 0) << "the error rate";
  EXPECT_EQ(Predictor::load(run / "model").value()->problem(), Problem::kBinary);
}

TEST_F(Predict, RegressionFindsALinearFunctionInTheUnitOfItsTargets) {
  std::vector<TaskRow> rows;
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    TaskRow row = row_of(random.normal(), 10 * random.normal(), "");
    row.target = 300 * row.input.at("a").as_double() - 20 * row.input.at("b").as_double() + 5000;
    rows.push_back(row);
  }
  JsonObject job = table_job(rows, "[]");
  job["lr"] = 0.05;
  const Path run = finished("run", job);
  EXPECT_GT(figure(run, "r2"), 0.9999);
  EXPECT_LT(figure(run, "mae"), 2);
  EXPECT_NEAR(figure(run, "mse"), std::pow(figure(run, "mae"), 2), 4);
  const auto predictor = Predictor::load(run / "model").value();
  const Json here[] = {JsonObject{{"a", 1}, {"b", 10}}};
  EXPECT_NEAR(predictor->predict(here).value()[0].value, 5100, 5);
}

// One label in ten, and the inputs overlap: by plain counts nearly everything is the frequent one.
TEST_F(Predict, ClassWeightsAndTheWeightsOfRowsShiftDecisions) {
  std::vector<TaskRow> rows;
  Random random(9);
  for (int i = 0; i < 400; ++i) {
    const bool rare = i % 10 == 0;
    rows.push_back(row_of(random.normal() + (rare ? 1 : 0), random.normal(), rare ? "rare" : "usual"));
  }
  const auto n_rare = [&](const char* name, const Json& predict, double row_weight) {
    std::vector<TaskRow> weighted = rows;
    for (TaskRow& row : weighted) row.weight = row.label == "rare" ? row_weight : 1;
    JsonObject job = table_job(weighted, "[]");
    job["predict"] = predict;
    job["epochs"] = 15;
    const auto predictor = Predictor::load(finished(name, job) / "model").value();
    int n = 0;
    for (const TaskRow& row : rows) n += predictor->predict({&row.input, 1}).value()[0].best == 0 ? 1 : 0;
    return n;
  };
  const int plain = n_rare("plain", parse_json(R"({"batch_size": 16})").value(), 1);
  const int balanced =
      n_rare("balanced", parse_json(R"({"batch_size": 16, "class_weights": "balanced"})").value(), 1);
  const int named =
      n_rare("named", parse_json(R"({"batch_size": 16, "class_weights": {"rare": 9}})").value(), 1);
  const int rows_count = n_rare("rows", parse_json(R"({"batch_size": 16})").value(), 9);
  EXPECT_LT(plain, 20);
  for (const int n : {balanced, named, rows_count}) {
    EXPECT_GT(n, 80);
    EXPECT_LT(n, 240);
  }
}

// Twenty numbers that each say little of the label and one that is right nine times in ten (Tsipras et al.
// 2019): against an attack on all of them only the one holds.
std::vector<TaskRow> weak_and_strong(int n) {
  std::vector<TaskRow> rows;
  Random random(11);
  for (int i = 0; i < n; ++i) {
    const double y = i % 2 == 0 ? 1 : -1;
    JsonObject input{{"strong", random.uniform() < 0.9 ? y : -y}};
    for (int f = 0; f < 20; ++f) input[fmt::format("weak{}", f)] = 0.4 * y + random.normal();
    TaskRow row;
    row.input = std::move(input);
    row.label = y > 0 ? "up" : "down";
    rows.push_back(std::move(row));
  }
  return rows;
}

// Share of rows that a linear model with one score gets right when each number moves by epsilon against it.
double attacked_accuracy(const Path& model, const std::vector<TaskRow>& rows, double epsilon) {
  const auto predictor = Predictor::load(model).value();
  const auto score = [&](const JsonObject& input) {
    const EncodedInput encoded = predictor->encoder().encode(input).value();
    return predictor->outputs({&encoded, 1}).value()[0];
  };
  const JsonObject& first = rows[0].input.as_object();
  double right = 0;
  for (const TaskRow& row : rows) {
    JsonObject input = row.input.as_object();
    const double y = row.label == "up" ? 1 : -1;
    for (const auto& field : first) {
      JsonObject more = first;
      more[field.key()] = field.value().to_number<double>() + 1;
      const double against = score(more) > score(first) ? -y : y;
      input[field.key()] = input.at(field.key()).to_number<double>() + epsilon * against;
    }
    right += (score(input) > 0) == (y > 0) ? 1 : 0;
  }
  return right / static_cast<double>(rows.size());
}

TEST_F(Predict, AdversarialTrainingHoldsAgainstTheAttack) {
  const std::vector<TaskRow> rows = weak_and_strong(300);
  const auto accuracy = [&](const char* name, const char* predict, double epsilon) {
    JsonObject job = table_job(rows, "[]");
    job["model"].at("config").as_object()["problem_type"] = "binary_classification";
    job["predict"] = parse_json(predict).value();
    return attacked_accuracy(finished(name, job) / "model", rows, epsilon);
  };
  constexpr const char* kPlain = R"({"batch_size": 16})";
  constexpr const char* kHardened = R"({"batch_size": 16, "adversarial": {"epsilon": 0.6, "share": 1}})";
  EXPECT_GT(accuracy("plain", kPlain, 0), 0.95);
  EXPECT_LT(accuracy("attacked", kPlain, 0.6), 0.4);
  EXPECT_GT(accuracy("hardened", kHardened, 0.6), 0.75);
}

TEST_F(Predict, AFinishedModelIsTrainedOnAndTakesAnotherHeadForOtherLabels) {
  JsonObject job = table_job(exclusive_or(80), kTwoLayers);
  job["epochs"] = 5;
  const Path first = finished("first", job);
  job["model"] = JsonObject{{"init_from", (first / "model").string()}};
  job["data"].as_object()["test_rows"] = job["data"].at("validation_rows");
  const Path second = finished("second", job);
  for (const char* report : {"test_before.json", "test.json"})
    EXPECT_THAT(read_file(second / report).value(), HasSubstr("\"accuracy\"")) << "rows that decide nothing";
  for (const Json& event : runs_.events(second))
    if (json_string(event, "type").value() == "eval") {
      EXPECT_NEAR(json_number(event, "loss").value(), json_number(last_evaluation(first), "loss").value(),
                  1e-5)
          << "measured before its first step, it is what it was";
      break;
    }
  std::vector<TaskRow> others = exclusive_or(80);
  for (size_t i = 0; i < others.size(); i += 7) others[i].label = "unclear";
  job["data"] = JsonObject{{"train_rows", write("others.jsonl", others).string()}};
  const Path third = finished("third", job);
  EXPECT_EQ(Checkpoint::open(third / "model").value().config().labels,
            (std::vector<std::string>{"different", "same", "unclear"}));
  EXPECT_THAT(runs_.errors(third), HasSubstr("has no head.weight, head.bias: random at first"));
}

TEST_F(Predict, WhatDoesNotFitTogetherIsRefusedByName) {
  const JsonObject job = table_job(exclusive_or(20), "[]");
  const auto with = [&](const char* key, const char* json) {
    JsonObject other = job;
    other[key] = parse_json(json).value();
    return refusal(other);
  };
  EXPECT_THAT(with("predict", R"({"loss": "mean_squared_error"})"), HasSubstr("does not go with"));
  EXPECT_THAT(with("predict", R"({"class_weights": {"sam": 2}})"), HasSubstr("did you mean 'same'"));
  EXPECT_THAT(with("predict", R"({"class_weights": {"same": 0, "different": 0}})"),
              HasSubstr("the weights of all rows are 0"));
  EXPECT_THAT(with("predict", R"({"augment": {"nois": 1}})"), HasSubstr("nois"));
  EXPECT_THAT(with("task", R"("sound")"), HasSubstr("'task': expected one of"));
  EXPECT_THAT(with("task", R"("text")"), HasSubstr("encoder.json"));
  EXPECT_THAT(with("model", R"({"config": {"layers": [], "input_shape": [7]}})"),
              HasSubstr("the model reads rows of 7 numbers, but the encoder gives 2"));
  EXPECT_THAT(with("model", R"({"config": {"layers": [], "problem_type": "regression"}})"),
              HasSubstr("the rows have labels"));
  EXPECT_THAT(with("model", R"({"config": {"layers": [], "id2label": {"0": "same", "1": "other"}}})"),
              HasSubstr("different"));
  JsonObject smoothed = job;
  smoothed["label_smoothing"] = 0.1;
  smoothed["predict"] = JsonObject{{"loss", "focal"}};
  EXPECT_THAT(refusal(smoothed), HasSubstr("'label_smoothing' is of no use with focal"));
}

// Sentences about a cat or a dog: the label is which.
std::vector<TaskRow> sentences(int n) {
  constexpr const char* kNames[] = {"Tom", "Lily", "Ben", "Anna", "Max", "Sue"};
  std::vector<TaskRow> rows;
  for (int i = 0; i < n; ++i) {
    TaskRow row;
    row.label = i % 3 == 0 ? "cat" : "dog";
    row.input = JsonObject{{"text", std::string(kNames[i % 6]) + " saw a " + row.label + " in the " +
                                        (i % 2 == 0 ? "park" : "house") + "."}};
    rows.push_back(row);
  }
  return rows;
}

TEST_F(Predict, AnEncoderGetsAHeadForTheLabelsAndGoesOnBitForBitAfterSigkill) {
  VOLANT_DATA_OR_SKIP(bert, "models/tiny-bert");
  const std::vector<TaskRow> rows = sentences(24);
  const JsonObject data{{"train", JsonArray{"none.jsonl"}}, {"text", "text"}, {"label", "label"}};
  const JsonObject model{{"init_from", bert.string()}};
  JsonObject job = table_job(rows, "[]");
  job["task"] = "text";
  job["encoder"] = learn("text", data, model, rows).string();
  job["model"] = model;
  // Noise and attacks on embeddings, too.
  job["predict"] =
      parse_json(R"({"batch_size": 8, "input_noise": 0.05, "adversarial": {"epsilon": 0.02, "share": 0.6}})")
          .value();
  job["micro_batch_tokens"] = 64;
  job["epochs"] = 10;
  job["lr"] = 3e-3;
  runs_.expect_exact_resume(job, {4, 14});
  const Path run = runs_.folder() / "whole";
  EXPECT_EQ(figure(run, "accuracy"), 1);
  EXPECT_EQ(parity(run).at("same_best").to_number<double>(), 1);
  const Checkpoint trained = Checkpoint::open(run / "model").value();
  EXPECT_EQ(trained.config().architecture, "BertForSequenceClassification");
  EXPECT_EQ(trained.config().labels, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_TRUE(std::filesystem::exists(run / "model/encoder.json"));
  EXPECT_EQ(trained.tokenizer().value()->n_vocab(), trained.config().vocab_size);
}

}  // namespace
}  // namespace volant
