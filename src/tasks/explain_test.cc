// Explanations: scores add up to what they explain, and say the right thing where it is known.
#include "tasks/explain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "tasks/predictor.h"
#include "tasks/table/table_encoder.h"

namespace volant {
namespace {

std::vector<TaskRow> rows_of_a_table() {
  std::vector<TaskRow> rows;
  for (const auto& [a, kind] :
       {std::pair{1.0, "x"}, {2.0, "y"}, {-4.0, "x"}, {7.0, "z"}, {0.5, "y"}, {2.5, "z"}})
    rows.push_back({.input = JsonObject{{"a", a}, {"kind", kind}}});
  return rows;
}

// A network over that table, with random weights.
void write_network(const Path& folder, const char* layers) {
  const auto encoder = TableEncoder::learn({}, rows_of_a_table()).value();
  ASSERT_TRUE(encoder->save(folder));
  Random random(4);
  const ModelConfig config = ModelConfig::from_json(JsonObject{{"model_type", "network"},
                                                               {"input_shape", {encoder->n_features()}},
                                                               {"layers", parse_json(layers).value()},
                                                               {"problem_type", "binary_classification"},
                                                               {"id2label", {{"0", "no"}, {"1", "yes"}}}})
                                 .value();
  testing::write_random_model(folder, config, random);
}

double sum_of(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

TEST(Explainer, ScoresAddUpToTheDifferenceFromTheBaseline) {
  const testing::ScratchDir dir;
  write_network(
      dir.path(),
      R"([{"type":"dense","units":16},{"type":"tanh"},{"type":"dense","units":8},{"type":"gelu"}])");
  const auto encoder = load_encoder(dir.path()).value();
  const auto explainer = Explainer::load(dir.path(), *encoder, 1).value();
  const EncodedInput input = encoder->encode(JsonObject{{"a", 3.0}, {"kind", "y"}}).value();
  const auto scores = explainer->scores(input, 1).value();
  EXPECT_GT(std::abs(scores.at_input - scores.at_baseline), 1e-3);
  EXPECT_NEAR(sum_of(scores.of_input), scores.at_input - scores.at_baseline, 1e-3);
  const auto against = explainer->scores(input, 0).value();
  for (size_t i = 0; i < scores.of_input.size(); ++i)
    EXPECT_NEAR(against.of_input[i], -scores.of_input[i], 1e-6);
}

TEST(Explainer, ColumnsOfACategoryAreOneReason) {
  const testing::ScratchDir dir;
  write_network(dir.path(), R"([{"type":"dense","units":16},{"type":"tanh"}])");
  const auto predictor = Predictor::load(dir.path(), {.n_threads = 1}).value();
  const Json input(JsonObject{{"a", 3.0}, {"kind", "y"}});
  const std::vector<Prediction> predictions = predictor->predict(std::span(&input, 1)).value();
  const auto reasons = predictor->explain(input, predictions[0]).value();
  ASSERT_EQ(reasons.size(), 2U);
  EXPECT_EQ(reasons[0].feature, "a");
  EXPECT_EQ(reasons[1].feature, "kind");
}

TEST(Explainer, OfALinearModelTheyAreWeightTimesInput) {
  const testing::ScratchDir dir;
  write_network(dir.path(), "[]");
  const Checkpoint checkpoint = Checkpoint::open(dir.path()).value();
  const TensorView weight = checkpoint.tensor("head.weight").value();
  const auto encoder = load_encoder(dir.path()).value();
  const auto explainer = Explainer::load(dir.path(), *encoder, 1).value();
  const EncodedInput input = encoder->encode(JsonObject{{"a", -2.0}, {"kind", "z"}}).value();
  const auto scores = explainer->scores(input, 1).value();
  std::vector<float> w(input.features.size());
  to_f32(weight.dtype, weight.bytes.data(), static_cast<int64_t>(w.size()), w.data());
  for (size_t i = 0; i < w.size(); ++i)
    EXPECT_NEAR(scores.of_input[i], static_cast<double>(w[i]) * static_cast<double>(input.features[i]), 1e-5);
}

TEST(Explainer, RefusesLabelsThatAreNot) {
  const testing::ScratchDir dir;
  write_network(dir.path(), "[]");
  const auto encoder = load_encoder(dir.path()).value();
  const auto explainer = Explainer::load(dir.path(), *encoder, 1).value();
  const EncodedInput input = encoder->encode(JsonObject{{"a", -2.0}, {"kind", "z"}}).value();
  EXPECT_FALSE(explainer->scores(input, 2));
  EXPECT_FALSE(explainer->scores(input, -1));
}

}  // namespace
}  // namespace volant
