// Attacks: one step against the signs of differences, many steps never weaker and never outside.
#include "eval/predict/gradient_attack.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/image.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "tasks/image/image_encoder.h"
#include "tasks/table/table_encoder.h"
#include "tasks/text/text_task.h"

namespace volant {
namespace {

const JsonObject kThree{{"problem_type", "single_label_classification"},
                        {"id2label", {{"0", "x"}, {"1", "y"}, {"2", "z"}}}};

void write_model(const Path& folder, const InputEncoder& encoder, JsonObject config, const char* layers) {
  ASSERT_TRUE(encoder.save(folder));
  config["model_type"] = "network";
  config["layers"] = parse_json(layers).value();
  Random random(4);
  testing::write_random_model(folder, ModelConfig::from_json(config).value(), random);
}

// Rows of three numbers and a category.
std::vector<TaskRow> table_rows() {
  Random random(8);
  std::vector<TaskRow> rows;
  for (int i = 0; i < 40; ++i)
    rows.push_back({.input = JsonObject{{"a", random.normal()},
                                        {"b", 5 * random.normal()},
                                        {"kind", i % 2 == 0 ? "even" : "odd"},
                                        {"c", 3 + random.normal()}}});
  return rows;
}

std::vector<AttackTarget> targets_of(const InputEncoder& encoder, std::span<const TaskRow> rows,
                                     int32_t n_labels) {
  std::vector<AttackTarget> targets;
  for (size_t i = 0; i < rows.size(); ++i) {
    AttackTarget target{.input = encoder.encode(rows[i].input).value()};
    target.range = attack_range(encoder, rows[i].input, target.input);
    target.label = static_cast<int32_t>(i) % n_labels;
    targets.push_back(std::move(target));
  }
  return targets;
}

double cross_entropy(Predictor& predictor, const EncodedInput& input, int32_t label) {
  const std::vector<float> output = predictor.outputs({&input, 1}).value();
  double sum = 0;
  for (const float x : output) sum += std::exp(static_cast<double>(x));
  return std::log(sum) - static_cast<double>(output[static_cast<size_t>(label)]);
}

TEST(GradientAttack, OneStepIsEpsilonTimesTheSignOfDifferences) {
  const testing::ScratchDir dir;
  const std::vector<TaskRow> rows = table_rows();
  const auto encoder = TableEncoder::learn({}, rows).value();
  JsonObject config = kThree;
  config["input_shape"] = JsonArray{encoder->n_features()};
  write_model(dir.path(), *encoder, config,
              R"([{"type":"dense","units":8},{"type":"tanh"},{"type":"dense","units":4},{"type":"gelu"}])");
  const auto predictor = Predictor::load(dir.path(), {.n_threads = 1}).value();
  auto attack = GradientAttack::load(dir.path(), 0.5, 1).value();
  std::vector<AttackTarget> targets = targets_of(*encoder, rows, 3);
  constexpr double kEpsilon = 0.02;
  const auto outcomes = attack.run(targets, {.epsilon = kEpsilon}).value();
  int n_at_an_end = 0, n_moved = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const AttackTarget& target = targets[i];
    const double plain = cross_entropy(*predictor, target.input, target.label);
    EXPECT_NEAR(outcomes[i].plain.loss, plain, 1e-5);
    EncodedInput moved = target.input;
    for (size_t at = 0; at < moved.features.size(); ++at) moved.features[at] += outcomes[i].fgsm.shift[at];
    EXPECT_NEAR(outcomes[i].fgsm.loss, cross_entropy(*predictor, moved, target.label), 1e-5);
    EXPECT_GT(outcomes[i].fgsm.loss, plain);
    for (size_t at = 0; at < moved.features.size(); ++at) {
      const bool is_number = encoder->origin(rows[i].input, static_cast<int64_t>(at)) != "kind";
      const auto shift = static_cast<double>(outcomes[i].fgsm.shift[at]);
      if (!is_number) {
        EXPECT_EQ(shift, 0);
        continue;
      }
      EncodedInput above = target.input, below = target.input;
      constexpr float kStep = 1e-2F;
      above.features[at] += kStep;
      below.features[at] -= kStep;
      const double slope =
          cross_entropy(*predictor, above, target.label) - cross_entropy(*predictor, below, target.label);
      if (std::abs(slope) < 1e-5) continue;
      const float x = target.input.features[at],
                  end = slope > 0 ? target.range.high[at] : target.range.low[at];
      const double room = std::abs(static_cast<double>(end - x));
      EXPECT_NEAR(shift, (slope > 0 ? 1 : -1) * std::min(kEpsilon, room), 1e-6);
      (room < kEpsilon ? n_at_an_end : n_moved) += 1;
    }
  }
  EXPECT_GT(n_moved, 90);
  EXPECT_GT(n_at_an_end, 0);  // the largest value of a column cannot grow
}

TEST(GradientAttack, ManyStepsAreNeverWeakerAndPicturesStayPictures) {
  const testing::ScratchDir dir;
  Random random(9);
  std::vector<TaskRow> rows;
  for (int i = 0; i < 40; ++i) {
    Image image{.width = 9, .height = 8, .channels = 3};
    for (int64_t k = 0; k < 9 * 8 * 3; ++k)
      image.pixels.push_back(static_cast<uint8_t>(random.below(4) == 0 ? 0 : random.below(256)));
    rows.push_back({.input = image_input(encode_png(image).value())});
  }
  const auto encoder = ImageEncoder::learn({}, rows).value();
  JsonObject config = kThree;
  config["input_shape"] = JsonArray{3, 8, 9};
  write_model(dir.path(), *encoder, config,
              R"([{"type":"conv","channels":5,"kernel":3},{"type":"relu"},{"type":"max_pool","size":2},
                  {"type":"dense","units":12},{"type":"relu"}])");
  auto attack = GradientAttack::load(dir.path(), 0.5, 1).value();
  const std::vector<AttackTarget> targets = targets_of(*encoder, rows, 3);
  constexpr double kEpsilon = 0.1;
  const auto outcomes = attack.run(targets, {.epsilon = kEpsilon, .steps = 7}).value();
  double one = 0, many = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const AttackOutcome& outcome = outcomes[i];
    EXPECT_LE(outcome.fgsm.right, outcome.plain.right);
    EXPECT_LE(outcome.pgd.right, outcome.fgsm.right);
    one += outcome.fgsm.loss;
    many += outcome.pgd.loss;
    for (const AttackedInput* point : {&outcome.fgsm, &outcome.pgd})
      for (size_t at = 0; at < point->shift.size(); ++at) {
        const auto channel = static_cast<int64_t>(at / (8 * 9));
        const double was = static_cast<double>(targets[i].input.features[at]) * encoder->deviation(channel) +
                           encoder->mean(channel),
                     moved = static_cast<double>(point->shift[at]) * encoder->deviation(channel);
        ASSERT_LE(std::abs(moved), kEpsilon + 1e-6);
        ASSERT_GE(was + moved, -1e-6);
        ASSERT_LE(was + moved, 1 + 1e-6);
      }
  }
  EXPECT_GT(many, one);
}

TEST(GradientAttack, OfTextsMovesTheEmbeddingsWithinTheirOwnSize) {
  const testing::ScratchDir dir;
  std::vector<TaskRow> rows;
  for (int i = 0; i < 20; ++i) {
    rows.push_back({.input = JsonObject{{"text", "a good film with unforgettable dancers"}}, .label = "x"});
    rows.push_back({.input = JsonObject{{"text", "a bad film"}}, .label = "y"});
  }
  const auto encoder = kTextTask.learn(JsonObject{{"train", "unused.csv"}}, JsonObject(), ".", rows).value();
  JsonObject config = kThree;
  config["vocab_size"] = encoder->n_vocab();
  config["max_position_embeddings"] = 128;
  config["pad_token_id"] = 0;
  write_model(dir.path(), *encoder, config,
              R"([{"type":"embedding","units":6},{"type":"lstm","units":5},{"type":"mean_rows"}])");
  auto attack = GradientAttack::load(dir.path(), 0.5, 1).value();
  const std::vector<AttackTarget> targets = targets_of(*encoder, std::span(rows).first(5), 3);
  const auto outcomes = attack.run(targets, {.epsilon = 0.3}).value();
  const Checkpoint checkpoint = Checkpoint::open(dir.path()).value();
  const std::vector<float> table = to_f32(checkpoint.tensor("layers.0.weight").value());
  for (size_t i = 0; i < targets.size(); ++i) {
    double squares = 0;
    for (const int32_t id : targets[i].input.tokens)
      for (size_t d = 0; d < 6; ++d)
        squares += std::pow(static_cast<double>(table[static_cast<size_t>(id) * 6 + d]), 2);
    const auto n = static_cast<double>(targets[i].input.tokens.size() * 6);
    ASSERT_EQ(static_cast<double>(outcomes[i].pgd.shift.size()), n);
    double largest = 0;
    for (const float x : outcomes[i].pgd.shift) largest = std::max(largest, std::abs(static_cast<double>(x)));
    EXPECT_NEAR(largest, 0.3 * std::sqrt(squares / n), 1e-5);
    EXPECT_GT(outcomes[i].fgsm.loss, outcomes[i].plain.loss);
    EXPECT_GE(outcomes[i].pgd.loss, outcomes[i].fgsm.loss);
  }
}

TEST(GradientAttack, RefusesWhatCannotBe) {
  const testing::ScratchDir dir;
  const std::vector<TaskRow> rows = table_rows();
  const auto encoder = TableEncoder::learn({}, rows).value();
  JsonObject config = kThree;
  config["input_shape"] = JsonArray{encoder->n_features()};
  write_model(dir.path(), *encoder, config, "[]");
  auto attack = GradientAttack::load(dir.path(), 0.5, 1).value();
  std::vector<AttackTarget> targets = targets_of(*encoder, std::span(rows).first(1), 3);
  EXPECT_FALSE(attack.run(targets, {.epsilon = -1}));
  EXPECT_FALSE(attack.run(targets, {.epsilon = 0.1, .steps = 0}));
  targets[0].range.low.pop_back();
  EXPECT_FALSE(attack.run(targets, {.epsilon = 0.1}));
  targets = targets_of(*encoder, std::span(rows).first(1), 3);
  targets[0].label = 3;
  EXPECT_FALSE(attack.run(targets, {.epsilon = 0.1}));
}

}  // namespace
}  // namespace volant
