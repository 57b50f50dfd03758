// Gradients by the inputs, against central differences of the outputs, for networks of every layer, an
// encoder and a decoder with labels; outputs are those of the native model.
#include "models/instances/input_gradient.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/instances/native.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

struct Case {
  const char* name;
  const char* layers;
  std::vector<int64_t> shape;
};

void PrintTo(const Case& it, std::ostream* out) { *out << it.name; }

ModelConfig network(const Case& it) {
  JsonArray shape;
  for (const int64_t d : it.shape) shape.emplace_back(d);
  return ModelConfig::from_json(JsonObject{{"model_type", "network"},
                                           {"input_shape", shape},
                                           {"layers", parse_json(it.layers).value()},
                                           {"problem_type", "single_label_classification"},
                                           {"id2label", JsonObject{{"0", "a"}, {"1", "b"}, {"2", "c"}}}})
      .value();
}

constexpr float kWeights[] = {1.0F, -0.5F, 0.25F};

InputGradient::Weights fixed_weights() {
  return [](std::span<const float> output) {
    std::vector<float> weights;
    for (size_t i = 0; i < output.size(); ++i) weights.push_back(kWeights[i % std::size(kWeights)]);
    return weights;
  };
}

double weighted(std::span<const float> output) {
  double sum = 0;
  for (size_t i = 0; i < output.size(); ++i)
    sum += static_cast<double>(kWeights[i % std::size(kWeights)]) * static_cast<double>(output[i]);
  return sum;
}

std::vector<float> random_numbers(size_t n, Random& random) {
  std::vector<float> numbers(n);
  for (float& x : numbers) x = static_cast<float>(random.normal());
  return numbers;
}

class InputGradients : public ::testing::TestWithParam<Case> {};

TEST_P(InputGradients, OfFeaturesAreThoseOfCentralDifferences) {
  const testing::ScratchDir dir;
  Random random(7);
  const ModelConfig config = network(GetParam());
  testing::write_random_model(dir.path(), config, random);
  const Checkpoint checkpoint = Checkpoint::open(dir.path()).value();
  const auto model = InputGradient::load(checkpoint, 1).value();
  const auto native = NativeModel::load(checkpoint, {.n_threads = 1}).value();
  int64_t columns = 1;
  for (const int64_t d : GetParam().shape) columns *= d;
  std::vector<float> x = random_numbers(static_cast<size_t>(2 * columns), random);
  const std::vector<int32_t> pos{0, 0}, begins{0, 1, 2}, rows{0, 1};
  const auto batch = [&] {
    return Batch{.tokens = {},
                 .pos = pos,
                 .seq_begin = begins,
                 .kv_slot = {},
                 .out_rows = rows,
                 .features = x,
                 .feature_columns = columns};
  };
  const InputGradient::Pass pass = model->gradient(batch(), fixed_weights()).value();
  const std::span<const float> output = native->output(batch());
  ASSERT_EQ(pass.output, std::vector<float>(output.begin(), output.end()));
  ASSERT_EQ(pass.gradient.size(), x.size());
  constexpr float kStep = 1e-2F;
  for (size_t i = 0; i < x.size(); i += 3) {
    const float here = x[i];
    x[i] = here + kStep;
    const double above = weighted(native->output(batch()));
    x[i] = here - kStep;
    const double below = weighted(native->output(batch()));
    x[i] = here;
    EXPECT_NEAR(static_cast<double>(pass.gradient[i]), (above - below) / (2 * static_cast<double>(kStep)),
                2e-3)
        << GetParam().name << " number " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layers, InputGradients,
    ::testing::Values(
        Case{"dense",
             R"([{"type":"dense","units":9},{"type":"tanh"},{"type":"dense","units":5},{"type":"gelu"}])",
             {6}},
        Case{"norms",
             R"([{"type":"dense","units":8},{"type":"layer_norm"},{"type":"batch_norm"},{"type":"gelu"}])",
             {5}},
        Case{"conv",
             R"([{"type":"conv","channels":3,"kernel":3,"stride":2,"padding":1},{"type":"gelu"},
                         {"type":"batch_norm"},{"type":"dense","units":4},{"type":"tanh"}])",
             {2, 7, 6}},
        Case{"average_pool",
             R"([{"type":"conv","channels":4,"kernel":2},{"type":"average_pool","size":2}])",
             {1, 7, 7}},
        Case{"residual",
             R"([{"type":"residual","layers":[{"type":"conv","channels":3,"kernel":3,"padding":1},
                             {"type":"tanh"}]}, {"type":"average_pool"}])",
             {2, 5, 5}}),
    [](const auto& it) { return std::string(it.param.name); });

// Where a network has corners (relu, the largest of a window), differences lie beside the gradient at a
// corner alone.
TEST(InputGradients, GoThroughReluAndTheLargestOfAWindow) {
  const testing::ScratchDir dir;
  Random random(3);
  const Case it{"corners",
                R"([{"type":"conv","channels":3,"kernel":3},{"type":"relu"},{"type":"max_pool","size":2}])",
                {1, 8, 8}};
  testing::write_random_model(dir.path(), network(it), random);
  const auto model = InputGradient::load(Checkpoint::open(dir.path()).value(), 1).value();
  std::vector<float> x = random_numbers(64, random);
  const std::vector<int32_t> pos{0}, begins{0, 1}, rows{0};
  const auto pass = [&] {
    return model
        ->gradient(Batch{.tokens = {},
                         .pos = pos,
                         .seq_begin = begins,
                         .kv_slot = {},
                         .out_rows = rows,
                         .features = x,
                         .feature_columns = 64},
                   fixed_weights())
        .value();
  };
  const InputGradient::Pass here = pass();
  int close = 0;
  constexpr float kStep = 1e-3F;
  for (size_t i = 0; i < x.size(); ++i) {
    const float at = x[i];
    x[i] = at + kStep;
    const double above = weighted(pass().output);
    x[i] = at - kStep;
    const double below = weighted(pass().output);
    x[i] = at;
    const double difference = (above - below) / (2 * static_cast<double>(kStep));
    close += std::abs(difference - static_cast<double>(here.gradient[i])) < 5e-3 ? 1 : 0;
  }
  EXPECT_GE(close, 60);
}

// Of words there are no numbers to move: the scale of all of them together is moved instead.
void expect_gradient_along_the_scale(const Checkpoint& checkpoint, const Batch& batch) {
  const auto model = InputGradient::load(checkpoint, 1).value();
  const auto at = [&](float scale) { return model->gradient(batch, fixed_weights(), scale).value(); };
  constexpr float kScale = 0.8F, kStep = 5e-3F;
  const InputGradient::Pass pass = at(kScale);
  double along = 0;
  for (size_t i = 0; i < pass.input.size(); ++i)
    along += static_cast<double>(pass.gradient[i]) * static_cast<double>(pass.input[i] / kScale);
  const double difference = (weighted(at(kScale + kStep).output) - weighted(at(kScale - kStep).output)) /
                            (2 * static_cast<double>(kStep));
  EXPECT_NEAR(along, difference, 6e-3 * std::max(1.0, std::abs(difference)));
}

// And of each number of the embeddings, which a shift moves.
void expect_gradient_along_each_shift(const Checkpoint& checkpoint, const Batch& batch) {
  const auto model = InputGradient::load(checkpoint, 1).value();
  const InputGradient::Pass pass = model->gradient(batch, fixed_weights()).value();
  std::vector<float> shift(pass.input.size());
  constexpr float kStep = 1e-2F;
  const auto at = [&](size_t i, float moved) {
    shift[i] = moved;
    const InputGradient::Pass there = model->gradient(batch, fixed_weights(), 1, shift).value();
    EXPECT_EQ(there.input[i], pass.input[i] + moved);
    shift[i] = 0;
    return weighted(there.output);
  };
  for (size_t i = 0; i < shift.size(); i += 5)
    EXPECT_NEAR(static_cast<double>(pass.gradient[i]),
                (at(i, kStep) - at(i, -kStep)) / (2 * static_cast<double>(kStep)), 2e-3)
        << i;
  shift.pop_back();
  EXPECT_FALSE(model->gradient(batch, fixed_weights(), 1, shift));
}

TEST(InputGradients, OfWordsOfARecurrentNetworkFollowTheirScale) {
  const testing::ScratchDir dir;
  Random random(11);
  const ModelConfig config =
      ModelConfig::from_json(
          parse_json(R"({"model_type":"network","problem_type":"binary_classification","vocab_size":30,
            "max_position_embeddings":16,"pad_token_id":0,"layers":[{"type":"embedding","units":6},
            {"type":"lstm","units":5,"bidirectional":true},{"type":"gru","units":4},{"type":"max_rows"}],
            "id2label":{"0":"no","1":"yes"}})")
              .value())
          .value();
  testing::write_random_model(dir.path(), config, random);
  const std::vector<int32_t> tokens{3, 9, 4, 21, 7, 8, 2}, pos{0, 1, 2, 3, 0, 1, 2}, begins{0, 4, 7},
      rows{3, 6};
  const Batch batch{.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = {}, .out_rows = rows};
  expect_gradient_along_the_scale(Checkpoint::open(dir.path()).value(), batch);
  expect_gradient_along_each_shift(Checkpoint::open(dir.path()).value(), batch);
}

TEST(InputGradients, OfWordsOfAnEncoderFollowTheirScale) {
  VOLANT_DATA_OR_SKIP(path, "models/tiny-bert");
  const std::vector<int32_t> tokens{2, 9, 40, 21, 3}, pos{0, 1, 2, 3, 4}, begins{0, 5}, rows{0};
  const Batch batch{.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = {}, .out_rows = rows};
  expect_gradient_along_the_scale(Checkpoint::open(path).value(), batch);
  expect_gradient_along_each_shift(Checkpoint::open(path).value(), batch);
}

TEST(InputGradients, OfWordsOfDecodersFollowTheirScale) {
  for (const char* name :
       {"models/tiny-llama-gqa", "models/tiny-qwen3", "models/tiny-gpt2", "models/tiny-mistral"}) {
    VOLANT_DATA_OR_SKIP(path, name);
    const std::vector<int32_t> tokens{2, 9, 40, 21, 3, 17, 8, 5, 6, 11}, pos{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
        begins{0, 10}, rows{9};
    SCOPED_TRACE(name);
    expect_gradient_along_the_scale(
        Checkpoint::open(path).value(),
        {.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = {}, .out_rows = rows});
  }
}

}  // namespace
}  // namespace volant
