// Folds, learning curves and thresholds of a small workspace, with a trainer that makes random networks at
// once and counts how often it was asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <set>

#include "registry/artifacts.h"
#include "registry/versions.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "wheel/predict/cross_validation.h"
#include "wheel/predict/evaluation.h"
#include "wheel/predict/learning_curve.h"
#include "wheel/predict/report.h"
#include "wheel/predict/seeds.h"
#include "wheel/predict/stages.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

using ::testing::HasSubstr;

constexpr const char* kConfig = R"(
[workspace]
name = "small"
[task]
kind = "table"
problem = "binary"
[data]
train = ["rows.csv"]
label = "answer"
[model]
layers = [{ type = "dense", units = 8 }, { type = "relu" }]
[compress]
formats = ["f32"]
[evaluate]
cost = { false_positive = 1, false_negative = 50 }
slices = ["colour"]
)";

// 400 rows of two numbers and a colour.
std::unique_ptr<Workspace> workspace_in(const Path& folder, const std::string& config = kConfig) {
  Random random(3);
  std::string csv = "a,b,colour,answer\n";
  for (int i = 0; i < 400; ++i) {
    const double a = random.normal(), b = random.normal();
    csv += fmt::format("{:.6f},{:.6f},{},{}\n", a, b, i % 3 == 0 ? "red" : "blue", a + b > 0 ? "yes" : "no");
  }
  EXPECT_TRUE(write_file_atomic(folder / "rows.csv", csv));
  EXPECT_TRUE(write_file_atomic(folder / "volant.toml", config));
  auto workspace = Workspace::open(folder);
  EXPECT_TRUE(workspace) << workspace.error().to_string();
  return std::move(workspace).value();
}

class CountingTrainer {
 public:
  std::atomic<int> n_calls{0};
  std::atomic<int> fails_at{0};  // the number of the call; 0: none

  TrainJob job() {
    return [this](const Path& run, const Json& job) { return train(run, job); };
  }
  Result<Path> train(const Path& run, const Json& job) {
    const int call = ++n_calls;
    if (call == fails_at) return fail(ErrorCode::kIo, "the power went");
    const Path model = run / "model";
    TRY(make_dirs(run));
    TRY(copy_all(Path(TRY(json_string(job, "encoder"))), model));
    const auto encoder = TRY(load_encoder(model));
    const ModelConfig config = TRY(ModelConfig::from_json(
        JsonObject{{"model_type", "network"},
                   {"problem_type", "binary_classification"},
                   {"id2label", {{"0", "no"}, {"1", "yes"}}},
                   {"input_shape", JsonArray{Json(encoder->n_features())}},
                   {"layers", {{{"type", "dense"}, {"units", 8}}, {{"type", "relu"}}}}}));
    Random random(static_cast<uint64_t>(TRY(encoder->encode(JsonObject{{"a", 1}})).features[0] * 1e6F));
    testing::write_random_model(model, config, random);
    EXPECT_GE(TRY(json_int(job, "n_threads")), 1);
    return model;
  }
};

std::vector<TaskRow> labelled(size_t n) {
  std::vector<TaskRow> rows;
  for (size_t i = 0; i < n; ++i)
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"x", i}},
                    .label = i % 4 == 0 ? "rare" : "often",
                    .target = {},
                    .group = fmt::format("g{}", i % 20),
                    .time = std::to_string(i)});
  return rows;
}

TEST(FoldTrials, EveryRowIsTestedOnceAndNeverLearnedThere) {
  const std::vector<TaskRow> rows = labelled(200);
  for (const char* kind : {"", "random", "group"}) {
    const auto trials = fold_trials(rows, {}, {.k = 5, .kind = kind, .trials = {}}).value();
    ASSERT_EQ(trials.size(), 5U);
    std::multiset<size_t> tested;
    for (const Trial& trial : trials) {
      std::set<size_t> seen(trial.test.begin(), trial.test.end());
      tested.insert(trial.test.begin(), trial.test.end());
      for (const auto* part : {&trial.train, &trial.validation})
        for (const size_t row : *part) EXPECT_TRUE(seen.insert(row).second) << kind;
      EXPECT_EQ(seen.size(), 200U);
      EXPECT_NEAR(static_cast<double>(trial.validation.size()), 16, 8) << kind;
      std::set<std::string> groups;
      for (const size_t row : trial.test) groups.insert(rows[row].group);
      if (std::string(kind) == "group") {
        for (const auto* part : {&trial.train, &trial.validation})
          for (const size_t row : *part) EXPECT_FALSE(groups.contains(rows[row].group));
      }
      if (std::string(kind).empty()) {  // labels: stratified
        EXPECT_EQ(std::ranges::count_if(trial.test, [&](size_t row) { return rows[row].label == "rare"; }),
                  10);
      }
    }
    EXPECT_EQ(tested.size(), 200U);
    EXPECT_EQ(std::set<size_t>(tested.begin(), tested.end()).size(), 200U);
  }
}

TEST(FoldTrials, TheKindIsThatOfTheSplitOrOfTheRows) {
  const std::vector<TaskRow> rows = labelled(3), numbers{{.input = JsonObject(), .target = 2.0}};
  EXPECT_EQ(fold_kind(rows, {}, "").value(), "stratified");
  EXPECT_EQ(fold_kind(numbers, {}, "").value(), "random");
  EXPECT_EQ(fold_kind(rows, {{"split", "group"}}, "").value(), "group");
  EXPECT_EQ(fold_kind(rows, {{"split", "group"}}, "time").value(), "time");
}

TEST(FoldTrials, EqualInputsAreOnOneSide) {
  std::vector<TaskRow> rows = labelled(120);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].input = JsonObject{{"x", i * 7 % 50}};
  for (const char* kind : {"stratified", "random"}) {
    const auto trials = fold_trials(rows, {}, {.k = 4, .kind = kind, .trials = {}}).value();
    size_t n_tested = 0;
    for (const Trial& trial : trials) {
      n_tested += trial.test.size();
      EXPECT_NEAR(static_cast<double>(trial.test.size()), 30, 8) << kind;
      std::set<std::string> tested;
      for (const size_t row : trial.test) tested.insert(dump_json(rows[row].input));
      for (const auto* part : {&trial.train, &trial.validation})
        for (const size_t row : *part) EXPECT_FALSE(tested.contains(dump_json(rows[row].input))) << kind;
    }
    EXPECT_EQ(n_tested, 120U);
  }
}

TEST(FoldTrials, ByGroupAndTimeEqualInputsAreSeparatedWhenAsked) {
  std::vector<TaskRow> rows = labelled(120);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].input = JsonObject{{"x", i * 7 % 50}};
  for (const char* kind : {"group", "time"}) {
    for (const bool separate : {false, true}) {
      const auto trials =
          fold_trials(rows, {}, {.k = 3, .kind = kind, .separate_inputs = separate, .trials = {}}).value();
      size_t n_seen = 0, n_learned = 0;
      for (const Trial& trial : trials) {
        std::set<std::string> tested;
        for (const size_t row : trial.test) tested.insert(dump_json(rows[row].input));
        for (const auto* part : {&trial.train, &trial.validation})
          for (const size_t row : *part) {
            n_seen += tested.contains(dump_json(rows[row].input)) ? 1 : 0;
            ++n_learned;
          }
      }
      EXPECT_EQ(n_seen == 0, separate) << kind;
      EXPECT_GT(n_learned, 40U) << kind;
    }
  }
  for (TaskRow& row : rows) row.input = JsonObject{{"x", 1}};
  EXPECT_THAT(fold_trials(rows, {}, {.k = 3, .kind = "group", .separate_inputs = true, .trials = {}})
                  .error()
                  .to_string(),
              HasSubstr("fold 1 has nothing to learn from"));
}

TEST(FoldTrials, ByTimeThePastTrains) {
  const std::vector<TaskRow> rows = labelled(60);
  const auto trials = fold_trials(rows, {}, {.k = 3, .kind = "time", .trials = {}}).value();
  ASSERT_EQ(trials.size(), 3U);
  for (const Trial& trial : trials) {
    ASSERT_FALSE(trial.train.empty());
    ASSERT_FALSE(trial.validation.empty());
    const size_t first = trial.test.front();
    for (const size_t row : trial.train) EXPECT_LT(row, first);
    for (const size_t row : trial.validation) EXPECT_LT(row, first);
  }
  EXPECT_THAT(fold_trials(rows, {}, {.k = 3, .repeats = 2, .kind = "time", .trials = {}}).error().to_string(),
              HasSubstr("one repeat"));
  std::vector<TaskRow> bare = rows;
  bare[7].group.clear();
  EXPECT_THAT(fold_trials(bare, {}, {.k = 3, .kind = "group", .trials = {}}).error().to_string(),
              HasSubstr("name its column with group"));
}

TEST(ReportFolds, TheIntervalIsThatOfNadeauAndBengio) {
  std::vector<TrialResult> folds;
  for (const double value : {0.80, 0.82, 0.78, 0.81, 0.79}) {
    TrialResult fold{.report = {}, .train_rows = 80, .test_rows = 20, .seconds = 1};
    fold.report.figures = {{"accuracy", {value, value - 0.01, value + 0.01}, true}};
    folds.push_back(std::move(fold));
  }
  const EvalReport report = report_folds(folds).value();
  const Estimate& accuracy = report.figures[0].estimate;
  EXPECT_NEAR(accuracy.value, 0.80, 1e-12);
  // Variance 2.5e-4; t of 4 degrees of freedom 2.776445; 1/5 + 20/80.
  const double half = 2.776445 * std::sqrt(2.5e-4 * (0.2 + 0.25));
  EXPECT_NEAR(accuracy.high - accuracy.value, half, 1e-6);
  const Json spread = report.sections[0].json;
  EXPECT_NEAR(spread.at("accuracy").at("student").at("ci95").as_array()[0].as_double(),
              0.80 - 2.776445 * std::sqrt(2.5e-4 * 0.2), 1e-6);
  EXPECT_FALSE(report_folds(std::span(folds).first(1)));
  folds[0].report.figures[0].estimate.value = 0.2;  // far from the others: Student's interval would pass 1
  for (size_t i = 1; i < folds.size(); ++i) folds[i].report.figures[0].estimate.value = 1;
  EXPECT_EQ(report_folds(folds).value().figures[0].estimate.high, 1);
}

TEST(CrossValidate, WhatIsFinishedIsNotTrainedAgain) {
  const testing::ScratchDir dir;
  const auto workspace = workspace_in(dir.path());
  CountingTrainer trainer;
  CrossValidationOptions options{.k = 4, .trials = {.parallel = 2, .train = trainer.job(), .on_done = {}}};
  trainer.fails_at = 3;
  const auto failed = cross_validate(*workspace, options);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().to_string(), HasSubstr("fold-00"));
  EXPECT_THAT(failed.error().to_string(), HasSubstr("the power went"));
  trainer.fails_at = 0;
  trainer.n_calls = 0;
  std::vector<size_t> done;
  options.trials.on_done = [&](size_t n) { done.push_back(n); };
  const auto report = cross_validate(*workspace, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_LE(trainer.n_calls, 3);
  EXPECT_GE(trainer.n_calls, 1);
  EXPECT_THAT(done, ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(report->rows, 360);  // without the tenth that judges
  EXPECT_EQ(report->figures[0].name, "accuracy");
  EXPECT_EQ(report->sections[1].rows.size(), 4U);
  trainer.n_calls = 0;
  const auto again = cross_validate(*workspace, options);
  ASSERT_TRUE(again);
  EXPECT_EQ(trainer.n_calls, 0);
  EXPECT_EQ(again->figures[0].estimate.value, report->figures[0].estimate.value);
  options.kind = "stratified";  // as it is by itself
  ASSERT_TRUE(cross_validate(*workspace, options));
  EXPECT_EQ(trainer.n_calls, 0);
  EXPECT_EQ(report->settings.at("kind").as_string(), "stratified");
  options.seed = 2;  // other folds are other trainings
  ASSERT_TRUE(cross_validate(*workspace, options));
  EXPECT_EQ(trainer.n_calls, 4);
}

TEST(CrossValidate, InputsOnBothSidesOfAGroupAreCounted) {
  const testing::ScratchDir dir;
  std::string config = kConfig;
  config.replace(config.find("label ="), 0, "group = \"colour\"\nsplit = \"group\"\ntest_share = 0\n");
  config.replace(config.find("slices ="), std::string("slices = [\"colour\"]").size(), "");
  std::string csv = "a,b,colour,answer\n";
  for (int i = 0; i < 120; ++i)  // inputs 0 to 59, each in two groups
    csv += fmt::format("{},1,c{},{}\n", i % 60, i / 12, i % 2 == 0 ? "yes" : "no");
  (void)workspace_in(dir.path(), config);
  ASSERT_TRUE(write_file_atomic(dir / "rows.csv", csv));
  const auto workspace = Workspace::open(dir.path()).value();
  CountingTrainer trainer;
  const auto report = cross_validate(
      *workspace, {.k = 10, .kind = "group", .trials = {.train = trainer.job(), .on_done = {}}});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_THAT(report->notes.back(), HasSubstr("120 of 120 test rows have an input that their fold learns"));
}

TEST(RepeatSeeds, SameRowsOtherSeedsAndStudentsInterval) {
  const testing::ScratchDir dir;
  const auto workspace = workspace_in(dir.path());
  CountingTrainer trainer;
  std::vector<int64_t> seeds;
  SeedOptions options{.n = 3, .seed = 7, .trials = {}};
  options.trials.train = [&](const Path& run, const Json& job) {
    seeds.push_back(job.at("seed").to_number<int64_t>());
    return trainer.train(run, job);
  };
  const auto report = repeat_seeds(*workspace, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_THAT(seeds, ::testing::ElementsAre(7, 8, 9));
  EXPECT_EQ(report->rows, 40);
  EXPECT_EQ(report->sections[1].key, "seeds");
  EXPECT_EQ(report->sections[1].rows.size(), 3U);
  EXPECT_EQ(report->sections[0].heading.size(), 4U) << "nothing is shared: no corrected interval";
  options.n = 4;  // the first three are there
  ASSERT_TRUE(repeat_seeds(*workspace, options));
  EXPECT_EQ(seeds.back(), 10);
  EXPECT_EQ(trainer.n_calls, 4);
}

TEST(LearningCurveOfAWorkspace, LargerSharesHoldTheSmallerOnes) {
  const testing::ScratchDir dir;
  const auto workspace = workspace_in(dir.path());
  CountingTrainer trainer;
  const LearningCurveOptions options{.shares = {1, 0.25, 0.5},
                                     .trials = {.train = trainer.job(), .on_done = {}}};
  const auto report = learning_curve(*workspace, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(trainer.n_calls, 3);
  EXPECT_EQ(report->rows, 40);
  const JsonArray points = report->sections[0].json.at("points").as_array();
  ASSERT_EQ(points.size(), 3U);
  EXPECT_EQ(points[2].at("rows").to_number<int>(), 320);
  EXPECT_EQ(points[0].at("rows").to_number<int>(), 80);
  EXPECT_FALSE(learning_curve(*workspace, {.shares = {1}, .trials = {}}));
  EXPECT_THAT(learning_curve(*workspace, {.shares = {0.5, 2}, .trials = {}}).error().to_string(),
              HasSubstr("at most 1, got 2"));
}

TEST(Evaluation, TheChosenThresholdIsServed) {
  const testing::ScratchDir dir;
  const auto workspace = workspace_in(dir.path());
  const Path rows = prepared_rows(*workspace).value().folder;
  CountingTrainer trainer;
  const Path model =
      trainer.train(dir / "run", JsonObject{{"encoder", (rows / kEncoderFolder).string()}, {"n_threads", 1}})
          .value();
  const auto predictor = Predictor::load(model).value();
  const double threshold = chosen_threshold(*workspace, *predictor, rows).value().value();
  EXPECT_LT(threshold, 0.5);  // a missed "yes" costs fifty times as much
  const Served served = make_served(*workspace, model, rows, dir / "served").value();
  EXPECT_EQ(Predictor::load(served.folder).value()->threshold(), threshold);
  EvalReport report = report_on_test(*workspace, model, rows).value();
  ASSERT_TRUE(add_sections(*workspace, model, rows, report));
  std::vector<std::string> keys;
  for (const ReportSection& section : report.sections) keys.push_back(section.key);
  for (const char* key : {"cost", "slices", "fairness", "worst_slices", "importance"})
    EXPECT_THAT(keys, ::testing::Contains(key));
  EXPECT_EQ(to_json(report).at("cost").at("threshold").as_double(), threshold);
}

TEST(Gate, FurtherFiguresAreComparedWithHolmsCorrection) {
  const testing::ScratchDir dir;
  const auto workspace =
      workspace_in(dir.path(), std::string(kConfig) + "[gate]\nfigures = [\"f1_macro\", \"log_loss\"]\n");
  const Path rows = prepared_rows(*workspace).value().folder;
  CountingTrainer trainer;
  const Path model =
      trainer.train(dir / "run", JsonObject{{"encoder", (rows / kEncoderFolder).string()}, {"n_threads", 1}})
          .value();
  EvalReport candidate = report_on_test(*workspace, model, rows).value();
  Registry& registry = workspace->registry();
  const Artifact artifact = put_artifact(registry, model, "model").value();
  ModelVersion described;
  described.run_id = "r";
  described.hf = artifact.digest;
  const ModelVersion version = register_version(registry, described).value();
  ASSERT_TRUE(set_alias(registry, "production", version.version, "test", ""));
  const GateReport same = gate_of(*workspace, candidate, rows).value();
  EXPECT_TRUE(same.passed) << dump_json(to_json(same));
  EXPECT_THAT(same.reasons, ::testing::Contains(HasSubstr("f1_macro is")));
  EXPECT_THAT(same.reasons, ::testing::Contains(HasSubstr("correction for 2 figures")));
  for (double& loss : candidate.row_scores.at("log_loss")) loss += 1;
  const GateReport worse = gate_of(*workspace, candidate, rows).value();
  EXPECT_FALSE(worse.passed);
  EXPECT_LT(worse.figures.at("log_loss").at("adjusted_p").to_number<double>(), 0.01);
  EXPECT_EQ(worse.figures.at("f1_macro").at("adjusted_p").to_number<double>(), 1);
  std::erase_if(candidate.figures, [](const Figure& figure) { return figure.name == "f1_macro"; });
  EXPECT_THAT(gate_of(*workspace, candidate, rows).error().message, HasSubstr("no 'f1_macro'"));
}

TEST(Evaluation, WhatDoesNotFitIsRefusedByName) {
  PredictSection section;
  section.kind = "table";
  section.problem = "binary";
  const auto error = [&](JsonObject evaluate) {
    section.evaluate = std::move(evaluate);
    const auto read = read_evaluation(section);
    return read ? std::string("none") : read.error().to_string();
  };
  EXPECT_EQ(error({}), "none");
  EXPECT_THAT(error({{"robustnes", true}}), HasSubstr("robustness"));
  EXPECT_THAT(error({{"cost", {{"false_positve", 1}}}}), HasSubstr("false_positive"));
  EXPECT_THAT(error({{"cost", 3}}), HasSubstr("expected {false_positive"));
  EXPECT_THAT(error({{"cost", {{"false_positive", 0}, {"false_negative", 0}}}}), HasSubstr("more than 0"));
  section.problem = "number";
  EXPECT_THAT(error({{"cost", {{"false_positive", 1}}}}), HasSubstr("two classes"));
  EXPECT_EQ(error({{"slices", true}}), "none");
  EXPECT_THAT(error({{"slices", 3}}), HasSubstr("slices"));
  section.kind = "image";
  EXPECT_THAT(error({{"slices", {"sex"}}}), HasSubstr("of tables and texts"));
}

}  // namespace
}  // namespace volant::predict
