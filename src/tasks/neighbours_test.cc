// Nearest training examples: against brute force, and of a model whose hidden layer is known.
#include "tasks/neighbours.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "tasks/predictor.h"
#include "tasks/table/table_encoder.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

std::vector<TaskRow> numbered_rows(size_t n) {
  std::vector<TaskRow> rows;
  for (size_t i = 0; i < n; ++i)
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"a", i}},
                    .label = i % 2 == 0 ? "even" : "odd",
                    .group = "secret"});
  return rows;
}

double cosine(std::span<const float> x, std::span<const float> y) {
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto a = static_cast<double>(x[i]), b = static_cast<double>(y[i]);
    xy += a * b, xx += a * a, yy += b * b;
  }
  return xy / std::sqrt(xx * yy);
}

TEST(Neighbours, AreTheRowsOfTheLargestCosines) {
  constexpr size_t kRows = 300, kWidth = 17;
  const testing::ScratchDir dir;
  Random random(5);
  std::vector<float> vectors(kRows * kWidth), asked(kWidth);
  for (float& x : vectors) x = static_cast<float>(3 * random.normal());
  for (float& x : asked) x = static_cast<float>(random.normal());
  EXPECT_FALSE(Neighbours::exist(dir.path()));
  ASSERT_TRUE(Neighbours::write(dir.path(), numbered_rows(kRows), vectors));
  EXPECT_TRUE(Neighbours::exist(dir.path()));
  const Neighbours neighbours = Neighbours::load(dir.path()).value();
  EXPECT_EQ(neighbours.size(), kRows);
  std::vector<std::pair<double, size_t>> expected;
  for (size_t i = 0; i < kRows; ++i)
    expected.emplace_back(-cosine(asked, std::span(vectors).subspan(i * kWidth, kWidth)), i);
  std::ranges::sort(expected);
  const std::vector<Neighbour> got = neighbours.nearest(asked, 5).value();
  ASSERT_EQ(got.size(), 5U);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].row.id, std::to_string(expected[i].second));
    EXPECT_EQ(got[i].row.label, expected[i].second % 2 == 0 ? "even" : "odd");
    EXPECT_EQ(got[i].row.input, Json(JsonObject{{"a", expected[i].second}}));
    EXPECT_EQ(got[i].row.group, "") << "what splits are made by is nobody's business";
    EXPECT_NEAR(got[i].similarity, -expected[i].first, 2e-3);  // of F16
  }
  EXPECT_EQ(neighbours.nearest(asked, 1000).value().size(), kRows);
  EXPECT_FALSE(neighbours.nearest(std::span(asked).first(3), 1));
}

TEST(Neighbours, LongInputsAreNotKept) {
  const testing::ScratchDir dir;
  std::vector<TaskRow> rows = numbered_rows(2);
  rows[1].input = JsonObject{{"text", std::string(5000, 'x')}};
  ASSERT_TRUE(Neighbours::write(dir.path(), rows, std::vector<float>{1, 0, 0, 1}));
  const std::vector<float> asked{0, 2};
  const auto nearest = Neighbours::load(dir.path()).value().nearest(asked, 1).value();
  EXPECT_EQ(nearest[0].row.id, "1");
  EXPECT_EQ(nearest[0].similarity, 1);
  EXPECT_TRUE(nearest[0].row.input.as_object().empty());
}

TEST(Neighbours, FilesThatDoNotFitTogetherAreRefused) {
  const testing::ScratchDir dir;
  EXPECT_FALSE(Neighbours::write(dir.path(), numbered_rows(2), std::vector<float>(3)));
  EXPECT_FALSE(Neighbours::write(dir.path(), {}, {}));
  ASSERT_TRUE(Neighbours::write(dir.path(), numbered_rows(2), std::vector<float>(4, 1)));
  ASSERT_TRUE(write_file_atomic(dir / "neighbours.jsonl", "{\"input\": {}, \"label\": \"a\"}\n"));
  EXPECT_THAT(Neighbours::load(dir.path()).error().to_string(), HasSubstr("one for each line"));
  ASSERT_TRUE(write_file_atomic(dir / "neighbours.jsonl", "[]\n"));
  EXPECT_FALSE(Neighbours::load(dir.path()));
}

TEST(Neighbours, NumbersThatAreNotFiniteAreRefusedOrFarAway) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(Neighbours::write(dir.path(), numbered_rows(2), std::vector<float>{1, 0, NAN, 1}));
  EXPECT_THAT(Neighbours::load(dir.path()).error().to_string(), HasSubstr("finite"));
  ASSERT_TRUE(Neighbours::write(dir.path(), numbered_rows(2), std::vector<float>{1, 0, 0, 1}));
  const auto nearest =
      Neighbours::load(dir.path()).value().nearest(std::vector<float>{INFINITY, 1}, 2).value();
  EXPECT_EQ(nearest.size(), 2U);
  EXPECT_EQ(nearest[0].similarity, -1);
}

TEST(Neighbours, OfAPredictorAreThoseOfItsLastHiddenLayer) {
  const testing::ScratchDir dir;
  Random random(3);
  std::vector<TaskRow> rows;
  for (int i = 0; i < 30; ++i)
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"a", random.normal()}, {"b", random.normal()}},
                    .target = i});
  const auto encoder = TableEncoder::learn({}, rows).value();
  ASSERT_TRUE(encoder->save(dir.path()));
  const ModelConfig config =
      ModelConfig::from_json(
          parse_json(R"({"model_type": "network", "input_shape": [2], "problem_type": "regression",
                         "layers": [{"type": "dense", "units": 4}, {"type": "tanh"}]})")
              .value())
          .value();
  const testing::NamedTensors tensors = testing::write_random_model(dir.path(), config, random);
  const auto predictor = Predictor::load(dir.path(), {.n_threads = 1, .batch_rows = 7}).value();
  EXPECT_FALSE(predictor->has_neighbours());
  EXPECT_EQ(predictor->nearest(rows[0].input, 3).error().code, ErrorCode::kNotFound);

  std::vector<EncodedInput> inputs;
  std::vector<float> expected;  // by plain loops
  for (const TaskRow& row : rows) {
    inputs.push_back(encoder->encode(row.input).value());
    for (size_t u = 0; u < 4; ++u) {
      double sum = static_cast<double>(tensors.at("layers.0.bias")[u]);
      for (size_t k = 0; k < 2; ++k)
        sum += static_cast<double>(tensors.at("layers.0.weight")[2 * u + k]) *
               static_cast<double>(inputs.back().features[k]);
      expected.push_back(static_cast<float>(std::tanh(sum)));
    }
  }
  const std::vector<float> hidden = predictor->hidden(inputs).value();
  ASSERT_EQ(hidden.size(), expected.size());
  for (size_t i = 0; i < hidden.size(); ++i) EXPECT_NEAR(hidden[i], expected[i], 1e-5);

  ASSERT_TRUE(Neighbours::write(dir.path(), rows, hidden));
  for (size_t i = 0; i < 5; ++i) {
    const auto nearest = predictor->nearest(rows[i].input, 2).value();
    EXPECT_EQ(nearest[0].row.id, rows[i].id) << "nothing is more like it than itself";
    EXPECT_EQ(*nearest[0].row.target, static_cast<double>(i));
    EXPECT_NEAR(nearest[0].similarity, 1, 1e-3);
    double best = -1;
    for (size_t k = 0; k < rows.size(); ++k)
      if (k != i)
        best = std::max(best,
                        cosine(std::span(expected).subspan(4 * i, 4), std::span(expected).subspan(4 * k, 4)));
    EXPECT_NEAR(nearest[1].similarity, best, 1e-3);
  }
}

}  // namespace
}  // namespace volant
