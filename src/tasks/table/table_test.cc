// Tables: the rows of Adult as documented, an encoder that knows its training rows alone, noise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "tasks/table/table_augmenter.h"
#include "tasks/table/table_encoder.h"
#include "tasks/table/table_task.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<std::map<std::string, std::vector<TaskRow>>> rows_of(const Json& data, const Path& base) {
  std::map<std::string, std::vector<TaskRow>> rows;
  TRY(kTableTask.read(data, base, [&](TaskRow row, const char* part) -> Status {
    rows[part].push_back(std::move(row));
    return {};
  }));
  return rows;
}

JsonObject adult_data() {
  return {{"train", {"adult-train.csv"}},
          {"test", {"adult-test.csv"}},
          {"columns",
           {"age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
            "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country",
            "income"}},
          {"label", "income"},
          {"ignore", {"fnlwgt"}},
          {"strip_label", "."}};
}

TaskRow row_of(const char* input) { return {.id = "r", .input = parse_json(input).value(), .label = "a"}; }

std::vector<TaskRow> small() {
  return {row_of(R"({"age": 20, "job": "cook"})"), row_of(R"({"age": 40, "job": "cook"})"),
          row_of(R"({"age": null, "job": "smith"})"), row_of(R"({"age": 60, "job": "clown"})"),
          row_of(R"({"age": 80, "job": "smith"})")};
}

TEST(TableTask, AdultHasTheRowsThatItsSourceDocuments) {
  VOLANT_DATA_OR_SKIP(adult, "datasets/adult");
  auto read = rows_of(adult_data(), adult);
  ASSERT_TRUE(read) << read.error().to_string();
  auto& rows = *read;
  EXPECT_EQ(rows["train"].size(), 32'561U);
  EXPECT_EQ(rows["test"].size(), 16'281U);
  std::map<std::string, int> counts;
  for (const auto& [part, list] : rows)
    for (const TaskRow& row : list) ++counts[row.label];
  EXPECT_EQ(counts.size(), 2U);  // the full stop of the test labels is gone
  EXPECT_EQ(counts[">50K"], 11'687);
  const TaskRow& first = rows["train"][0];
  EXPECT_EQ(first.id, "adult-train.csv:1");
  EXPECT_EQ(*json_find(first.input, "age"), Json(39));
  EXPECT_EQ(*json_find(first.input, "workclass"), Json("State-gov"));
  EXPECT_EQ(json_find(first.input, "fnlwgt"), nullptr);
  EXPECT_EQ(json_find(first.input, "income"), nullptr);
  int missing = 0;  // "?" of occupation in the training file: 1843, as adult.names counts them
  for (const TaskRow& row : rows["train"]) missing += json_find(row.input, "occupation") == nullptr;
  EXPECT_EQ(missing, 1843);

  const auto encoder = kTableTask.learn(adult_data(), JsonObject(), adult, rows["train"]);
  ASSERT_TRUE(encoder) << encoder.error().to_string();
  std::set<std::string> numbers;
  const Json schema = (*encoder)->schema();
  for (const Json& field : schema.at("fields").as_array())
    if (field.at("type") == "number") numbers.insert(std::string(field.at("name").as_string()));
  EXPECT_THAT(numbers, ElementsAre("age", "capital-gain", "capital-loss", "education-num", "hours-per-week"));
  for (const auto& [part, list] : rows)
    for (const TaskRow& row : list) ASSERT_TRUE((*encoder)->encode(row.input)) << row.id;
}

TEST(TableTask, ReadsAHeaderGroupsTimesAndTargets) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(write_file_atomic(
      dir / "a.csv", "when;who;zip;size;price\n2020-01-01;ann;01234;2.5;10\n2020-01-02;bob;7;na;11.5\n"));
  const Json data =
      JsonObject{{"train", "*.csv"}, {"target", "price"},          {"group", "who"},
                 {"time", "when"},   {"missing", JsonArray{"na"}}, {"types", {{"zip", "category"}}}};
  auto read = rows_of(data, dir.path());
  ASSERT_TRUE(read) << read.error().to_string();
  const std::vector<TaskRow>& rows = (*read)["all"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(dump_json(rows[0].input), R"({"zip":"01234","size":2.5})");
  EXPECT_EQ(dump_json(rows[1].input), R"({"zip":"7","size":null})");
  EXPECT_EQ(rows[1].group, "bob");
  EXPECT_EQ(rows[1].time, "2020-01-02");
  EXPECT_EQ(rows[1].target, 11.5);
  EXPECT_EQ(rows[1].id, "a.csv:3");
  for (const TaskRow& row : rows) EXPECT_EQ(to_json(parse_task_row(to_json(row)).value()), to_json(row));
}

TEST(TableTask, WhatIsWrongIsNamed) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "a.csv", "age,income\n1,a\n2,\n"));
  const auto message = [&](const JsonObject& data) {
    const auto rows = rows_of(data, dir.path());
    return rows ? std::string() : rows.error().to_string();
  };
  EXPECT_THAT(message({{"train", "a.csv"}}), HasSubstr("'label' or 'target'"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"label", "incom"}}), HasSubstr("did you mean 'income'"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"label", "income"}, {"ignor", "x"}}),
              HasSubstr("did you mean 'ignore'"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"label", "income"}}), HasSubstr("a.csv:3: expected a label"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"target", "income"}}), HasSubstr("a.csv:2: expected a number"));
  EXPECT_THAT(message({{"train", "b.csv"}, {"label", "income"}}), HasSubstr("b.csv"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"label", "income"}, {"types", {{"age", "int"}}}}),
              HasSubstr("\"number\" or \"category\""));
  EXPECT_THAT(message({{"train", "a.csv"}, {"label", "c"}, {"columns", {"a", "b", "c"}}}),
              HasSubstr("a.csv:1: expected 3 fields"));
}

TEST(TableEncoder, NumbersAreScaledAndCategoriesHaveAFeatureForEachValue) {
  const auto encoder = TableEncoder::learn({.min_count = 2}, small()).value();
  // age: scaled, missing; job: cook, smith, anything else ("clown" is rare).
  ASSERT_EQ(encoder->n_features(), 5);
  const double deviation = std::sqrt(500.0);  // of 20, 40, 60, 80 around 50
  const auto features = [&](const char* input) {
    return encoder->encode(parse_json(input).value())->features;
  };
  EXPECT_THAT(features(R"({"age": 20, "job": "cook"})"),
              ElementsAre(::testing::FloatNear(static_cast<float>(-30 / deviation), 1e-6F), 0, 1, 0, 0));
  EXPECT_THAT(features(R"({"age": 50, "job": "clown"})"), ElementsAre(0, 0, 0, 0, 1));
  EXPECT_THAT(features(R"({"age": "50", "job": "queen"})"), ElementsAre(0, 0, 0, 0, 1));
  // The median of the four, and the feature that says so.
  EXPECT_THAT(features(R"({"job": "smith"})"),
              ElementsAre(::testing::FloatNear(static_cast<float>(10 / deviation), 1e-6F), 1, 0, 1, 0));
  EXPECT_EQ(encoder->origin({}, 0), "age");
  EXPECT_EQ(encoder->origin({}, 1), "age");
  EXPECT_EQ(encoder->origin({}, 4), "job");
}

TEST(TableEncoder, KnowsOnlyWhatTheTrainingRowsHold) {
  std::vector<TaskRow> rows = small();
  const auto encoder = TableEncoder::learn({.min_count = 1}, std::span(rows).first(3)).value();
  EXPECT_EQ(encoder->fields()[1].values, (std::vector<std::string>{"cook", "smith"}));
  EXPECT_DOUBLE_EQ(encoder->fields()[0].mean, 30);
  EXPECT_EQ(encoder->encode(rows[3].input)->features.back(), 1);  // "clown" occurs later alone
}

TEST(TableEncoder, BadInputIsAnsweredByField) {
  const auto encoder = TableEncoder::learn({.min_count = 1}, small()).value();
  const auto message = [&](const char* input) {
    const auto encoded = encoder->encode(parse_json(input).value());
    EXPECT_FALSE(encoded) << input;
    return encoded ? "" : encoded.error().message;
  };
  EXPECT_THAT(message(R"({"aeg": 3})"), HasSubstr("unknown field 'aeg', did you mean 'age'"));
  EXPECT_THAT(message(R"({"age": "old"})"), HasSubstr("field 'age': expected a number, got \"old\""));
  EXPECT_THAT(message(R"({"age": true})"), HasSubstr("field 'age'"));
  EXPECT_THAT(message(R"({"job": ["cook"]})"), HasSubstr("field 'job': expected a short text"));
  EXPECT_THAT(message(R"({})"), HasSubstr("every field is missing"));
  EXPECT_THAT(message(R"([])"), HasSubstr("an object such as {\"age\""));
}

TEST(TableEncoder, GivesTheSameBitsAfterSavingAndLoading) {
  const testing::ScratchDir dir;
  const auto encoder = TableEncoder::learn({.min_count = 1}, small()).value();
  ASSERT_TRUE(encoder->save(dir.path()));
  const auto again = load_encoder(dir.path());
  ASSERT_TRUE(again) << again.error().to_string();
  for (const TaskRow& row : small())
    EXPECT_EQ((*again)->encode(row.input)->features, encoder->encode(row.input)->features);
  EXPECT_EQ((*again)->schema(), encoder->schema());
}

TEST(TableEncoder, AFileThatContradictsItselfIsRefused) {
  const auto encoder = TableEncoder::learn({.min_count = 1}, small()).value();
  const Json good = encoder->to_json();
  ASSERT_TRUE(TableEncoder::from_json(good));
  const auto broken = [&](size_t field, const char* key, const Json& value) {
    Json json = good;
    json.at("fields").at(field).as_object()[key] = value;
    return !TableEncoder::from_json(json).has_value();
  };
  EXPECT_TRUE(broken(0, "deviation", 0));
  EXPECT_TRUE(broken(0, "mean", "x"));
  EXPECT_TRUE(broken(0, "type", "date"));
  EXPECT_TRUE(broken(1, "name", "age"));
  EXPECT_TRUE(broken(1, "values", JsonArray{"a", "a"}));
  EXPECT_TRUE(broken(1, "values", JsonArray{1}));
  EXPECT_FALSE(broken(1, "values", JsonArray{"a", "b"}));
}

TEST(TableAugmenter, NoiseHasItsDeviationAndLeavesCategoriesAlone) {
  const auto encoder = TableEncoder::learn({.min_count = 1}, small()).value();
  const TableAugmenter augmenter(*encoder, {.noise = 0.5});
  const EncodedInput encoded = encoder->encode(small()[0].input).value();
  Random random(1);
  double squares = 0;
  for (int i = 0; i < 2000; ++i) {
    const EncodedInput noisy = augmenter({}, encoded, random);
    squares += std::pow(static_cast<double>(noisy.features[0] - encoded.features[0]), 2);
    EXPECT_TRUE(std::equal(noisy.features.begin() + 1, noisy.features.end(), encoded.features.begin() + 1));
  }
  EXPECT_NEAR(std::sqrt(squares / 2000), 0.5, 0.03);
}

TEST(TableAugmenter, ADroppedFieldLooksLikeAMissingOne) {
  const auto encoder = TableEncoder::learn({.min_count = 1}, small()).value();
  const TableAugmenter augmenter(*encoder, {.drop = 0.25});
  const EncodedInput encoded = encoder->encode(small()[0].input).value();
  const EncodedInput without = encoder->encode(parse_json(R"({"job": "cook"})").value()).value();
  Random random(1);
  int dropped = 0;
  for (int i = 0; i < 2000; ++i) {
    const EncodedInput out = augmenter({}, encoded, random);
    if (out.features[1] == 1) {
      ++dropped;
      EXPECT_EQ(out.features[0], without.features[0]);
    }
  }
  EXPECT_NEAR(dropped / 2000.0, 0.25, 0.03);
  EXPECT_THAT(kTableTask.augmenter(JsonObject{{"nois", 1}}, *encoder).error().message, HasSubstr("'noise'"));
}

}  // namespace
}  // namespace volant
