// What stands in a predictor's report beside its figures, of a network whose weights are known: a table of
// two numbers and a group, of which it reads the first number alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "eval/predict/attacks.h"
#include "eval/predict/decision_cost.h"
#include "eval/predict/importance.h"
#include "eval/predict/input_changes.h"
#include "eval/predict/robustness.h"
#include "eval/predict/row_scores.h"
#include "eval/predict/slices.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "support/scratch_dir.h"
#include "tasks/image/image_encoder.h"
#include "tasks/table/table_encoder.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

// The label is "yes" where a is above its mean; in group "y" every fourth row says the opposite.
std::vector<TaskRow> rows_of(size_t n) {
  Random random(7);
  std::vector<double> a(n);
  double mean = 0;
  for (double& x : a) mean += (x = random.normal()) / static_cast<double>(n);
  std::vector<TaskRow> rows;
  for (size_t i = 0; i < n; ++i) {
    const bool y = i % 2 == 1, turned = y && i % 8 == 1;
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"a", a[i]}, {"b", random.normal()}, {"group", y ? "y" : "x"}},
                    .label = (a[i] > mean) != turned ? "yes" : "no",
                    .target = {}});
  }
  return rows;
}

// One output: `weight` times the standardised a.
std::unique_ptr<Predictor> model_of(const Path& folder, JsonObject config, double weight) {
  const std::vector<TaskRow> rows = rows_of(400);
  const auto encoder = TableEncoder::learn({}, rows).value();
  EXPECT_TRUE(encoder->save(folder));
  const auto F = static_cast<size_t>(encoder->n_features());
  config["model_type"] = "network";
  config["input_shape"] = JsonArray{encoder->n_features()};
  config["layers"] = JsonArray{JsonObject{{"type", "dense"}, {"units", 1}}};
  EXPECT_TRUE(
      write_file_atomic(folder / "config.json", dump_json(ModelConfig::from_json(config).value().to_json())));
  std::vector<float> first(F), bias{0}, head{static_cast<float>(weight)};
  first[0] = 1;
  EXPECT_EQ(encoder->origin(JsonObject(), 0), "a");
  const auto bytes = [](const std::vector<float>& x) { return std::as_bytes(std::span<const float>(x)); };
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors",
                                {{"layers.0.weight", {"F32", {1, static_cast<int64_t>(F)}, bytes(first)}},
                                 {"layers.0.bias", {"F32", {1}, bytes(bias)}},
                                 {"head.weight", {"F32", {1, 1}, bytes(head)}},
                                 {"head.bias", {"F32", {1}, bytes(bias)}}}));
  auto predictor = Predictor::load(folder, {.n_threads = 1});
  EXPECT_TRUE(predictor) << predictor.error().to_string();
  return std::move(predictor).value();
}

const JsonObject kTwo{{"problem_type", "binary_classification"}, {"id2label", {{"0", "no"}, {"1", "yes"}}}};
const JsonObject kNumber{{"problem_type", "regression"}, {"target_mean", 0.0}, {"target_deviation", 1.0}};

const ReportSection& section_of(const EvalReport& report, std::string_view key) {
  const auto found = std::ranges::find(report.sections, key, &ReportSection::key);
  EXPECT_NE(found, report.sections.end()) << key;
  return *found;
}

TEST(ColumnImportance, OnlyWhatTheModelReadsIsImportant) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kTwo, 4);
  const std::vector<TaskRow> rows = rows_of(400);
  const auto importance = column_importance(*predictor, rows).value();
  ASSERT_EQ(importance.size(), 3U);
  EXPECT_EQ(importance[0].column, "a");
  // Right 7 times of 8; of a dealt anew it is right half of the time.
  EXPECT_NEAR(importance[0].worse.value, 0.875 - 0.5, 0.04);
  EXPECT_LT(importance[0].worse.low, importance[0].worse.value);
  EXPECT_GT(importance[0].worse.low, 0.25);
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(importance[i].worse.value, 0);
    EXPECT_GT(importance[i].worse.high, 0);  // that nothing moved in 400 rows does not prove that nothing can
    EXPECT_NEAR(importance[i].worse.low, -importance[i].worse.high, 1e-15);
  }
  EvalReport report;
  ASSERT_TRUE(add_importance(*predictor, rows, {}, report));
  EXPECT_EQ(section_of(report, "importance").rows[0][0], "a");
  EXPECT_THAT(to_html(report), HasSubstr("What it goes by"));
}

TEST(ColumnImportance, OfNumbersTheSquaredErrorRises) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kNumber, 1);
  std::vector<TaskRow> rows = rows_of(400);
  for (TaskRow& row : rows) {
    row.label.clear();
    row.target = predictor->predict({&row.input, 1}).value()[0].value;  // exactly what it says
  }
  const auto importance = column_importance(*predictor, rows, {.repeats = 3}).value();
  EXPECT_EQ(importance[0].column, "a");
  // The expected square of the difference of two draws of variance 1.
  EXPECT_NEAR(importance[0].worse.value, 2, 0.25);
  EXPECT_FALSE(column_importance(*predictor, {}, {}));
}

TEST(DecisionCost, NoThresholdIsCheaper) {
  Random random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<int32_t> truth;
    std::vector<double> p;
    const uint64_t n = 1 + random.below(30);
    for (uint64_t i = 0; i < n; ++i) {
      truth.push_back(static_cast<int32_t>(random.below(2)));
      p.push_back(static_cast<double>(random.below(12)) / 11);
    }
    const DecisionCost cost{static_cast<double>(random.below(4)), static_cast<double>(random.below(4))};
    const auto price = [&](double threshold) {
      double sum = 0;
      for (size_t i = 0; i < p.size(); ++i) {
        if (p[i] >= threshold && truth[i] == 0) sum += cost.false_positive;
        if (p[i] < threshold && truth[i] == 1) sum += cost.false_negative;
      }
      return sum;
    };
    const double threshold = cheapest_threshold(truth, p, cost).value();
    EXPECT_GE(threshold, 0);
    EXPECT_LE(threshold, 1);
    for (int step = 0; step <= 220; ++step) EXPECT_LE(price(threshold), price(step / 220.0));
  }
}

TEST(DecisionCost, EqualCostsOfAGoodModelKeepOneHalf) {
  EXPECT_EQ(cheapest_threshold(std::vector<int32_t>{0, 0, 1, 1}, std::vector<double>{0.1, 0.2, 0.8, 0.9}, {})
                .value(),
            0.5);
  EXPECT_FALSE(cheapest_threshold({}, {}, {}));
  EXPECT_FALSE(cheapest_threshold(std::vector<int32_t>{1}, std::vector<double>{1.5}, {}));
  EXPECT_THAT(cheapest_threshold(std::vector<int32_t>{1}, std::vector<double>{0.5}, {-1, 1}).error().message,
              HasSubstr("0 or more"));
}

TEST(DecisionCost, TheReportPricesBothThresholds) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kTwo, 1);
  const std::vector<TaskRow> rows = rows_of(400);
  const DecisionCost cost{1, 10};
  const double threshold = cheapest_threshold(*predictor, rows, cost).value();
  EXPECT_LT(threshold, 0.5);  // misses are dear
  EvalReport report;
  ASSERT_TRUE(add_decision_cost(*predictor, rows, cost, threshold, report));
  const JsonObject& json = section_of(report, "cost").json;
  const auto number = [&](const char* name, const char* key) {
    return json.at(name).at(key).to_number<double>();
  };
  for (const char* name : {"at_half", "at_threshold"})
    EXPECT_NEAR(number(name, "value"),
                (number(name, "false_positives") + 10 * number(name, "false_negatives")) / 400, 1e-12);
  EXPECT_NEAR(number("difference", "value"), number("at_threshold", "value") - number("at_half", "value"),
              1e-12);
  EXPECT_LT(number("difference", "value"), 0);
  const testing::ScratchDir other;
  EXPECT_THAT(cheapest_threshold(*model_of(other.path(), kNumber, 1), rows, cost).error().message,
              HasSubstr("two classes"));
}

TEST(Slices, TheWorstGroupIsFoundAndNumbersAreCut) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kTwo, 4);
  const std::vector<TaskRow> rows = rows_of(400);
  EvalReport report;
  const std::vector<std::string> columns{"group", "b"};
  ASSERT_TRUE(add_slices(*predictor, rows, columns, 0.5, report));
  const Json fairness = section_of(report, "fairness").json;
  const Json& groups = fairness.at("group").at("accuracy").at("groups");
  EXPECT_EQ(groups.at("x").at("value").to_number<double>(), 1);
  EXPECT_EQ(groups.at("y").at("value").to_number<double>(), 0.75);
  EXPECT_EQ(fairness.at("group").at("accuracy").at("highest").as_string(), "x");
  EXPECT_EQ(fairness.at("b").at("accuracy").at("groups").as_object().size(), 4U);  // quartiles
  const ReportSection& worst = section_of(report, "worst_slices");
  EXPECT_THAT(worst.rows[0][0], HasSubstr("group = y"));
  EXPECT_EQ(section_of(report, "slices").rows.size(), 6U);
  EXPECT_THAT(add_slices(*predictor, rows, std::vector<std::string>{"sex"}, 0.5, report).error().message,
              HasSubstr("expected some of a, b, group"));
}

TEST(Attacks, TurnTheRowsThatAreNearerToTheBorderThanEpsilon) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kTwo, 3);
  const std::vector<TaskRow> rows = rows_of(300);
  const std::vector<double> epsilons{0.1, 0.5};
  EvalReport report;
  ASSERT_TRUE(
      add_attacks(*predictor, dir.path(), rows, {.epsilons = epsilons, .rows = 300, .steps = 4}, report));
  const JsonObject& json = section_of(report, "attacks").json;
  double plain = 0;
  std::vector<double> left(epsilons.size());  // still right
  for (const TaskRow& row : rows) {
    const auto a = static_cast<double>(predictor->encoder().encode(row.input).value().features[0]);
    if ((a >= 0 ? "yes" : "no") != row.label) continue;
    plain += 1.0 / 300;
    for (size_t i = 0; i < epsilons.size(); ++i) left[i] += std::abs(a) > epsilons[i] ? 1.0 / 300 : 0;
  }
  EXPECT_GT(plain, left[0]);
  EXPECT_GT(left[0], left[1]);
  EXPECT_NEAR(json.at("plain").at("value").to_number<double>(), plain, 1e-9);
  for (size_t i = 0; i < epsilons.size(); ++i)
    for (const char* method : {"fgsm", "pgd"})
      EXPECT_NEAR(json.at("epsilons").at(i == 0 ? "0.1" : "0.5").at(method).at("value").to_number<double>(),
                  left[i], 1e-9);
  EXPECT_FALSE(add_attacks(*predictor, dir.path(), {}, {}, report));
}

TEST(Attacks, OfNumbersTheSquaredErrorRisesByTheDistance) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kNumber, 2);
  std::vector<TaskRow> rows = rows_of(100);
  for (TaskRow& row : rows) {
    row.label.clear();
    row.target = predictor->predict({&row.input, 1}).value()[0].value - 1;  // it says 1 too much
  }
  EvalReport report;
  ASSERT_TRUE(add_attacks(*predictor, dir.path(), rows, {.epsilons = {0.01}, .rows = 100}, report));
  const JsonObject& json = section_of(report, "attacks").json;
  EXPECT_NEAR(json.at("plain").at("value").to_number<double>(), 1, 1e-6);
  // But for the row of the largest a, which cannot go beyond what training saw.
  EXPECT_NEAR(json.at("epsilons").at("0.01").at("pgd").at("value").to_number<double>(), 1.02 * 1.02, 1e-3);
}

TEST(Slices, QuartilesHoldAsManyRowsEach) {
  std::vector<TaskRow> rows;
  for (int i = 0; i < 40; ++i) rows.push_back({.input = JsonObject{{"age", i}}, .target = {}});
  rows.push_back({.input = JsonObject(), .target = {}});
  const std::vector<std::string> groups = groups_by(rows, "age");
  EXPECT_EQ(groups[0], "0 to 9");
  EXPECT_EQ(groups[9], "0 to 9");
  EXPECT_EQ(groups[10], "10 to 19");
  EXPECT_EQ(groups[39], "30 to 39");
  EXPECT_EQ(groups[40], "(none)");
  rows.resize(8);
  EXPECT_EQ(groups_by(rows, "age")[7], "7");
}

TEST(Robustness, AnOutlierInWhatTheModelReadsHurts) {
  const testing::ScratchDir dir;
  const auto predictor = model_of(dir.path(), kTwo, 4);
  const std::vector<TaskRow> rows = rows_of(400);
  EvalReport report;
  ASSERT_TRUE(add_robustness(*predictor, rows, {.max_rows = 300}, report));
  const JsonObject& json = section_of(report, "robustness").json;
  EXPECT_EQ(json.at("rows").to_number<int>(), 300);
  EXPECT_NEAR(json.at("plain").at("value").to_number<double>(), 0.875, 0.05);
  const Json& outlier = json.at("changes").at("an outlier in each row");
  EXPECT_EQ(outlier.at("rows_changed").to_number<int>(), 300);
  // Half of the rows get it in a, which then says yes; half of those were right already or are now.
  EXPECT_LT(outlier.at("difference").at("ci95").as_array()[1].to_number<double>(), -0.05);
  EXPECT_LT(outlier.at("adjusted_p").to_number<double>(), 0.05);
  EXPECT_NEAR(outlier.at("changed").at("value").to_number<double>() -
                  json.at("plain").at("value").to_number<double>(),
              outlier.at("difference").at("value").to_number<double>(), 1e-12);
  EXPECT_EQ(json.at("changes").as_object().size(), 4U);
}

TEST(InputChanges, PicturesKeepTheirSizeAndChangeAsTheyAreNamed) {
  Image image{.width = 6, .height = 5, .channels = 1, .pixels = std::vector<uint8_t>(30)};
  image.pixels[2 * 6 + 3] = 160;
  const Json input = image_input(encode_png(image).value());
  const std::vector<TaskRow> rows{{.input = input, .label = "a", .target = {}}};
  const auto encoder = ImageEncoder::learn({}, rows).value();
  const auto changes = input_changes(*encoder).value();
  ASSERT_EQ(changes.size(), 4U);
  const auto changed = [&](size_t i) {
    Random random(5);
    return image_of(changes[i].apply(input, random).value()).value();
  };
  const Image shifted = changed(0), blurred = changed(1), noisy = changed(2);
  EXPECT_EQ(std::ranges::count(shifted.pixels, 160), 1);
  const auto at = static_cast<int>(std::ranges::find(shifted.pixels, 160) - shifted.pixels.begin());
  EXPECT_EQ(std::abs(at % 6 - 3) + std::abs(at / 6 - 2), 2);
  EXPECT_EQ(blurred.pixels[2 * 6 + 3], 40);
  EXPECT_EQ(blurred.pixels[2 * 6 + 4], 20);
  EXPECT_EQ(blurred.pixels[3 * 6 + 4], 10);
  EXPECT_NE(noisy.pixels, image.pixels);
  const auto distance = [&](const Image& other) {
    double sum = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i) sum += std::abs(other.pixels[i] - image.pixels[i]);
    return sum;
  };
  EXPECT_GT(distance(changed(3)), 2 * distance(noisy));
  Random random(1);
  EXPECT_FALSE(changes[0].apply(JsonObject{{"image", "x"}}, random));
}

TEST(InputChanges, GapsLeaveAField) {
  const auto encoder = TableEncoder::learn({}, rows_of(40)).value();
  const auto changes = input_changes(*encoder).value();
  const auto gaps = std::ranges::find(changes, "missing fields (30 %)", &InputChange::name);
  ASSERT_NE(gaps, changes.end());
  const Json input = rows_of(1)[0].input;
  size_t n_fields = 0;
  Random random(2);
  for (int i = 0; i < 3000; ++i) {
    const Json changed = gaps->apply(input, random).value();
    ASSERT_FALSE(changed.as_object().empty());
    n_fields += changed.as_object().size();
  }
  EXPECT_NEAR(static_cast<double>(n_fields) / 3000, 1 + 2 * 0.7, 0.05);  // one of three is kept
}

}  // namespace
}  // namespace volant
