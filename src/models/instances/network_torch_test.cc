// Networks of every layer kind, trained and served, against plain loops in double; their gradients against
// differences; what batch norm keeps, what dropout draws, and PyTorch's own files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "models/instances/torch.h"
#include "support/network_reference.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using testing::NetworkReference;
using testing::ScratchDir;

const char* const kPictures = R"({"model_type": "network", "input_shape": [3, 11, 9], "layers": [
  {"type": "conv", "channels": 5, "kernel": 3, "stride": 2, "padding": 1}, {"type": "batch_norm"}, {"type": "relu"},
  {"type": "residual", "layers": [{"type": "conv", "channels": 5, "kernel": 3, "padding": 1}, {"type": "tanh"}]},
  {"type": "residual", "layers": [{"type": "conv", "channels": 7, "kernel": 3, "stride": 2, "padding": 1},
                                  {"type": "batch_norm"}]},
  {"type": "max_pool", "size": 2, "stride": 1}, {"type": "average_pool"}, {"type": "dense", "units": 6},
  {"type": "gelu"}, {"type": "dropout", "p": 0.3}], "num_labels": 4})";
const char* const kWindows = R"({"model_type": "network", "input_shape": [2, 13, 17], "layers": [
  {"type": "average_pool", "size": 3, "stride": 2}, {"type": "conv", "channels": 18, "kernel": 2},
  {"type": "max_pool", "size": 2}, {"type": "flatten"}, {"type": "layer_norm"}, {"type": "dense", "units": 9},
  {"type": "tanh"}], "num_labels": 3})";
const char* const kTable =
    R"({"model_type": "network", "problem_type": "regression", "input_shape": [13], "layers": [
  {"type": "dense", "units": 17}, {"type": "batch_norm"}, {"type": "gelu"},
  {"type": "residual", "layers": [{"type": "dense", "units": 17}, {"type": "tanh"}]},
  {"type": "residual", "layers": [{"type": "dense", "units": 8}, {"type": "layer_norm"}]}]})";
const char* const kLstm =
    R"({"model_type": "network", "problem_type": "binary_classification", "vocab_size": 40,
  "layers": [{"type": "embedding", "units": 9}, {"type": "lstm", "units": 7, "bidirectional": true},
             {"type": "dense", "units": 6}, {"type": "gelu"}, {"type": "last_row"}]})";
const char* const kGru = R"({"model_type": "network", "vocab_size": 40, "layers": [
  {"type": "embedding", "units": 6}, {"type": "gru", "units": 6}, {"type": "gru", "units": 5, "bidirectional": true},
  {"type": "residual", "layers": [{"type": "lstm", "units": 10}]}, {"type": "mean_rows"}, {"type": "tanh"}],
  "num_labels": 3})";
const char* const kMost = R"({"model_type": "network", "vocab_size": 40, "layers": [
  {"type": "embedding", "units": 12}, {"type": "batch_norm"}, {"type": "max_rows"}], "num_labels": 5})";
const char* const kLinear = R"({"model_type": "network", "input_shape": [6], "layers": [], "num_labels": 3})";

// Inputs of a network and their batch.
struct Inputs {
  std::vector<std::vector<float>> features;
  std::vector<std::vector<int32_t>> texts;
  std::vector<float> flat;
  std::vector<int32_t> tokens, pos, begins{0}, rows;
  int64_t columns = 0;

  Inputs(const ModelConfig& config, Random& random, std::vector<size_t> lengths = {12, 1, 5, 23, 5}) {
    const auto& own = std::get<NetworkFields>(config.own);
    for (const size_t length : lengths) {
      if (own.reads_tokens()) {
        texts.emplace_back(length);
        for (int32_t& id : texts.back())
          id = static_cast<int32_t>(random.below(static_cast<uint64_t>(config.vocab_size)));
        tokens.insert(tokens.end(), texts.back().begin(), texts.back().end());
        rows.push_back(begins.back());
        begins.push_back(static_cast<int32_t>(tokens.size()));
      } else {
        columns =
            std::accumulate(own.input_shape.begin(), own.input_shape.end(), int64_t{1}, std::multiplies<>());
        features.emplace_back(static_cast<size_t>(columns));
        for (float& x : features.back()) x = static_cast<float>(random.normal());
        flat.insert(flat.end(), features.back().begin(), features.back().end());
        rows.push_back(static_cast<int32_t>(rows.size()));
        begins.push_back(static_cast<int32_t>(begins.size()));
      }
    }
    pos.resize(tokens.size());
  }
  Batch view() const {
    return {.tokens = tokens,
            .pos = pos,
            .seq_begin = begins,
            .kv_slot = {},
            .out_rows = rows,
            .features = flat,
            .feature_columns = columns};
  }
  size_t size() const { return begins.size() - 1; }
};

TorchModel load_torch(const Checkpoint& checkpoint, const TorchOptions& options = {}) {
  TorchModel model = TorchModel::create(checkpoint.config(), options).value();
  for (size_t i = 0; i < model.tensors().size(); ++i)
    model.write(i, to_f32(checkpoint.tensor(model.tensors()[i].name).value()));
  return model;
}

// A loss with a gradient everywhere: sum of r * tanh(y).
double smooth_loss(std::span<const float> y, std::span<float> gradient) {
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double r = std::sin(1.7 * static_cast<double>(i) + 0.5), t = std::tanh(static_cast<double>(y[i]));
    sum += r * t;
    gradient[i] = static_cast<float>(r * (1 - t * t));
  }
  return sum;
}

class Network : public ::testing::TestWithParam<const char*> {
 protected:
  ModelConfig make(uint64_t seed) {
    Random random(seed);
    const ModelConfig config = ModelConfig::from_json(parse_json(GetParam()).value()).value();
    tensors_ = testing::write_random_model(scratch_.path(), config, random);
    return config;
  }
  Checkpoint open() const { return Checkpoint::open(scratch_.path()).value(); }

  ScratchDir scratch_;
  testing::NamedTensors tensors_;
};

INSTANTIATE_TEST_SUITE_P(All, Network,
                         ::testing::Values(kPictures, kWindows, kTable, kLstm, kGru, kMost, kLinear));

TEST_P(Network, ServedAndTrainedItGivesTheOutputsOfTheReference) {
  for (const uint64_t seed : {1, 2}) {
    const ModelConfig config = make(seed);
    Random random(seed + 100);
    const Inputs inputs(config, random);
    const auto native = NativeModel::load(open(), {.n_threads = 2}).value();
    const std::vector<float> trained = load_torch(open()).output(inputs.view()).value();
    const auto served = native->output(inputs.view());
    const NetworkReference reference(config, tensors_);
    const auto n = static_cast<size_t>(config.n_outputs());
    ASSERT_EQ(served.size(), inputs.size() * n);
    ASSERT_EQ(trained.size(), inputs.size() * n);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<double> expected =
          inputs.texts.empty() ? reference.output(inputs.features[i]) : reference.output(inputs.texts[i]);
      for (size_t k = 0; k < n; ++k) {
        EXPECT_NEAR(served[i * n + k], expected[k], 2e-5 * (1 + std::abs(expected[k]))) << i << " " << k;
        EXPECT_NEAR(trained[i * n + k], expected[k], 2e-5 * (1 + std::abs(expected[k]))) << i << " " << k;
      }
    }
  }
}

TEST_P(Network, AnInputAloneGivesTheBitsItGivesAmongOthers) {
  const ModelConfig config = make(3);
  Random random(4);
  const Inputs many(config, random, {7, 2, 19});
  const auto native = NativeModel::load(open(), {.n_threads = 2}).value();
  const auto given = native->output(many.view());
  const std::vector<float> all(given.begin(), given.end());
  const auto n = static_cast<size_t>(config.n_outputs());
  for (size_t i = 0; i < many.size(); ++i) {
    Random any(1);
    Inputs one(config, any, {many.texts.empty() ? 1 : many.texts[i].size()});
    if (many.texts.empty()) {
      one.flat = many.features[i];
    } else {
      one.tokens = many.texts[i];
    }
    const auto alone = native->output(one.view());
    for (size_t k = 0; k < n; ++k) EXPECT_EQ(alone[k], all[i * n + k]) << i;
  }
}

// In passes that train: dropout draws the same from the same seed, batch norm goes by the batch.
TEST_P(Network, GradientMatchesDifferencesOfItsLoss) {
  const ModelConfig config = make(4);
  TorchModel model = load_torch(open());
  Random random(9);
  const Inputs inputs(config, random);
  const auto loss = [&] {
    model.begin_step(5);
    return model.output_loss_and_gradient(inputs.view(), smooth_loss, 1).value();
  };
  loss();
  std::vector<std::vector<float>> gradients;
  for (const auto& p : model.parameters()) gradients.emplace_back(p.gradient.begin(), p.gradient.end());
  for (size_t at = 0; at < gradients.size(); ++at) {
    const auto& p = model.parameters()[at];
    std::vector<float> direction(p.values.size()), old(p.values.begin(), p.values.end());
    double expected = 0, norm = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = static_cast<float>(random.normal());
      expected += static_cast<double>(direction[i]) * static_cast<double>(gradients[at][i]);
      norm += static_cast<double>(gradients[at][i]) * static_cast<double>(gradients[at][i]);
    }
    const auto loss_at = [&](float step) {
      for (size_t i = 0; i < old.size(); ++i) p.values[i] = old[i] + step * direction[i];
      model.weights_changed();
      return loss();
    };
    // A step across a kink (relu, max) says nothing; a smaller one does not reach it.
    double nearest = std::numeric_limits<double>::infinity();
    for (float step = 4e-3F / std::sqrt(static_cast<float>(old.size())); step > 2e-5F; step /= 4) {
      const double got = (loss_at(step) - loss_at(-step)) / (2 * static_cast<double>(step));
      if (std::abs(got - expected) < std::abs(nearest - expected)) nearest = got;
      if (std::abs(nearest - expected) <= 0.02 * std::sqrt(norm) + 0.02) break;
    }
    loss_at(0);
    EXPECT_NEAR(nearest, expected, 0.02 * std::sqrt(norm) + 0.02) << p.spec.name;
  }
}

// Of each number of the embeddings, which a shift moves in parts of their root mean square in the text.
void expect_gradient_along_shifts(TorchModel& model, const Inputs& inputs,
                                  const std::vector<float>& gradient) {
  const Batch batch = inputs.view();
  const std::vector<float> table = model.merged(0);
  ASSERT_EQ(gradient.size() % batch.tokens.size(), 0U);
  const size_t width = gradient.size() / batch.tokens.size();
  size_t n_checked = 0;
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s) {
    const auto begin = static_cast<size_t>(batch.seq_begin[s]),
               end = static_cast<size_t>(batch.seq_begin[s + 1]);
    double squares = 0;
    for (size_t t = begin; t < end; ++t)
      for (size_t d = 0; d < width; ++d)
        squares += std::pow(static_cast<double>(table[static_cast<size_t>(batch.tokens[t]) * width + d]), 2);
    const double size = std::sqrt(squares / static_cast<double>((end - begin) * width));
    for (size_t i = begin * width; i < end * width; i += 3) {
      std::vector<float> direction(gradient.size());
      const auto loss_at = [&](float x) {
        direction[i] = x;
        double value = 0;
        const auto loss = [&](std::span<const float> y, std::span<float> g) {
          return value = smooth_loss(y, g);
        };
        EXPECT_TRUE(model.input_gradient(batch, loss, {.direction = direction}));
        return value;
      };
      constexpr float kStep = 2e-3F;
      const double above = loss_at(kStep), here = loss_at(0), below = loss_at(-kStep);
      // The largest of two rows of the same word has a corner here.
      if (std::abs((above - here) - (here - below)) > 1e-6 + 0.02 * std::abs(above - below)) continue;
      ++n_checked;
      EXPECT_NEAR((above - below) / (2 * static_cast<double>(kStep)), size * static_cast<double>(gradient[i]),
                  4e-3 + 0.02 * std::abs(static_cast<double>(gradient[i])))
          << i;
    }
  }
  EXPECT_GT(n_checked, gradient.size() / 5);  // of a third
}

TEST_P(Network, InputGradientMatchesDifferencesAndLeavesTheWeightsGradientsAlone) {
  const ModelConfig config = make(5);
  TorchModel model = load_torch(open());
  Random random(9);
  Inputs inputs(config, random);
  const auto gradient = model.input_gradient(inputs.view(), smooth_loss);
  ASSERT_TRUE(gradient) << gradient.error().to_string();
  for (const auto& p : model.parameters())
    EXPECT_TRUE(std::all_of(p.gradient.begin(), p.gradient.end(), [](float g) { return g == 0; }))
        << p.spec.name;
  if (!inputs.texts.empty()) return expect_gradient_along_shifts(model, inputs, *gradient);
  ASSERT_EQ(gradient->size(), inputs.flat.size());
  const auto loss_at = [&](size_t i, float x) {
    const float old = std::exchange(inputs.flat[i], x);
    const std::vector<float> y = model.output(inputs.view()).value();
    inputs.flat[i] = old;
    std::vector<float> unused(y.size());
    return smooth_loss(y, unused);
  };
  for (size_t i = 0; i < inputs.flat.size(); i += 1 + inputs.flat.size() / 60) {
    const float x = inputs.flat[i], step = 2e-3F;
    EXPECT_NEAR((loss_at(i, x + step) - loss_at(i, x - step)) / (2 * static_cast<double>(step)),
                static_cast<double>((*gradient)[i]),
                4e-3 + 0.02 * std::abs(static_cast<double>((*gradient)[i])))
        << i;
  }
}

TEST_P(Network, WeightsInBf16StayClose) {
  const ModelConfig config = make(6);
  Random random(9);
  const Inputs inputs(config, random);
  const auto exact = NativeModel::load(open(), {.n_threads = 1}).value();
  const auto small = NativeModel::load(open(), {.n_threads = 1, .dtype = DType::kBF16}).value();
  const auto expected = exact->output(inputs.view()), got = small->output(inputs.view());
  const std::vector<float> trained = load_torch(open(), {.bf16 = true}).output(inputs.view()).value();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], 0.06 * (1 + std::abs(expected[i])));
    EXPECT_NEAR(trained[i], expected[i], 0.06 * (1 + std::abs(expected[i])));
  }
}

const char* const kNorm = R"({"model_type": "network", "problem_type": "regression", "input_shape": [2, 2, 3],
  "batch_norm_momentum": 0.2, "layers": [{"type": "batch_norm"}]})";

TorchModel norm_model(const TorchOptions& options = {}) {
  TorchModel model =
      TorchModel::create(ModelConfig::from_json(parse_json(kNorm).value()).value(), options).value();
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    std::vector<float> numbers(static_cast<size_t>(model.tensors()[i].count()), 0.5F);
    if (model.tensors()[i].name == "layers.0.running_mean") numbers = {10, 20};
    if (model.tensors()[i].name == "layers.0.running_var") numbers = {3, 4};
    model.write(i, numbers);
  }
  return model;
}

TEST(BatchNormOfANetwork, PassesThatTrainMoveItsStatisticsTowardsTheBatch) {
  TorchModel model = norm_model();
  Random random(1);
  const Inputs inputs(model.config(), random, {1, 1, 1, 1, 1});
  double mean[2] = {}, variance[2] = {};
  for (const auto& x : inputs.features)
    for (size_t i = 0; i < 12; ++i) mean[i / 6] += static_cast<double>(x[i]) / 30;
  for (const auto& x : inputs.features)
    for (size_t i = 0; i < 12; ++i)
      variance[i / 6] += std::pow(static_cast<double>(x[i]) - mean[i / 6], 2) / 29;
  const std::vector<float> before = model.output(inputs.view()).value();
  EXPECT_EQ(model.output(inputs.view()).value(), before);  // evaluation moves nothing
  model.begin_step(1);
  ASSERT_TRUE(model.output_loss_and_gradient(inputs.view(), smooth_loss, 1));
  ASSERT_EQ(model.parameters().size(), 4U);  // weight and bias, of the norm and the head
  ASSERT_EQ(model.kept().size(), 6U);
  for (const auto& p : model.kept()) {
    if (p.spec.role != TensorRole::kStatistic) continue;
    EXPECT_TRUE(p.gradient.empty());
    const bool is_mean = p.spec.name.ends_with("mean");
    for (size_t c = 0; c < 2; ++c) {
      const double old = is_mean ? 10.0 + 10.0 * static_cast<double>(c) : 3.0 + static_cast<double>(c);
      EXPECT_NEAR(p.values[c], 0.8 * old + 0.2 * (is_mean ? mean[c] : variance[c]), 1e-5) << p.spec.name;
    }
  }
  EXPECT_NE(model.output(inputs.view()).value(), before);
  EXPECT_EQ(model.memory().n_trained, 2U + 2 + 12 + 1);
}

TEST(BatchNormOfANetwork, FrozenItGoesByItsStatisticsAndKeepsThem) {
  TorchModel model =
      norm_model({.trains = [](const TensorSpec& spec) { return spec.name.starts_with("head."); }});
  EXPECT_EQ(model.kept().size(), 2U);
  Random random(1);
  const Inputs inputs(model.config(), random, {1, 1, 1});
  const std::vector<float> before = model.output(inputs.view()).value();
  model.begin_step(1);
  std::vector<float> seen;
  ASSERT_TRUE(model.output_loss_and_gradient(
      inputs.view(),
      [&](std::span<const float> y, std::span<float> gradient) {
        seen.assign(y.begin(), y.end());
        return smooth_loss(y, gradient);
      },
      1));
  EXPECT_EQ(seen, before);
  EXPECT_EQ(model.output(inputs.view()).value(), before);
}

TEST(BatchNormOfANetwork, ABatchOfOneNumberAChannelGoesByTheStatistics) {
  TorchModel model =
      TorchModel::create(
          ModelConfig::from_json(parse_json(R"({"model_type": "network", "problem_type": "regression",
                           "input_shape": [3], "layers": [{"type": "batch_norm"}]})")
                                     .value())
              .value(),
          {})
          .value();
  for (size_t i = 0; i < model.tensors().size(); ++i)
    model.write(i, std::vector<float>(static_cast<size_t>(model.tensors()[i].count()), 1.0F));
  Random random(1);
  const Inputs one(model.config(), random, {1});
  model.begin_step(1);
  ASSERT_TRUE(model.output_loss_and_gradient(one.view(), smooth_loss, 1));
  for (const auto& p : model.kept())
    if (p.spec.role == TensorRole::kStatistic) {
      EXPECT_THAT(p.values, ::testing::Each(1.0F)) << p.spec.name;
    }
}

TEST(DropoutOfANetwork, FollowsFromTheStepsSeedAndIsOffInEvaluation) {
  const char* text = R"({"model_type": "network", "problem_type": "regression", "input_shape": [64],
    "layers": [{"type": "dropout", "p": 0.5}]})";
  TorchModel model = TorchModel::create(ModelConfig::from_json(parse_json(text).value()).value(), {}).value();
  model.write(0, std::vector<float>(64, 1.0F));
  Random random(1);
  const Inputs inputs(model.config(), random, {1, 1});
  const auto loss = [&](uint64_t seed) {
    model.begin_step(seed);
    return model.output_loss_and_gradient(inputs.view(), smooth_loss, 1).value();
  };
  const double first = loss(1);
  EXPECT_NE(loss(2), first);
  EXPECT_EQ(loss(1), first);
  const std::vector<float> y = model.output(inputs.view()).value();
  double sum = 0;
  for (const float x : inputs.features[0]) sum += static_cast<double>(x);
  EXPECT_NEAR(y[0], sum, 1e-4);
}

TEST(NetworkCheckpoint, PyTorchsOwnNamesAndCountersAreUnderstood) {
  const ScratchDir scratch;
  const ModelConfig config = ModelConfig::from_json(parse_json(kPictures).value()).value();
  Random random(3);
  const testing::NamedTensors tensors = testing::write_random_model(scratch.path(), config, random);
  Inputs inputs(config, random);
  const auto as_written =
      NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 1}).value();
  const auto given = as_written->output(inputs.view());
  const std::vector<float> expected(given.begin(), given.end());
  // The same as a bare nn.Sequential saves it: "0.weight", and a counter of batches.
  std::map<std::string, SafetensorsEntry> entries;
  for (const TensorSpec& spec : tensor_specs(config)) {
    const std::string name = spec.name.starts_with("layers.") ? spec.name.substr(7) : spec.name;
    entries[name] = {"F32", spec.shape, std::as_bytes(std::span<const float>(tensors.at(spec.name)))};
  }
  const int64_t counter = 12;
  entries["1.num_batches_tracked"] = {"I64", {}, std::as_bytes(std::span<const int64_t>(&counter, 1))};
  ASSERT_TRUE(write_safetensors(scratch.path() / "model.safetensors", entries));
  const auto again = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 1}).value();
  EXPECT_THAT(again->output(inputs.view()), ::testing::ElementsAreArray(expected));
}

}  // namespace
}  // namespace volant
