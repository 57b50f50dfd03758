// The trained Llama against the golden outputs and against the native one: what is trained is what is served.
#include "models/instances/torch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "support/golden_logits.h"
#include "support/npy.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using testing::ids_of;

// Documents packed into one batch, every row read out, each row's target the next token of its document.
struct Packed {
  std::vector<int32_t> tokens, pos, seq_begin{0}, out_rows, targets;
  std::vector<float> weights;
  void add(const std::vector<int32_t>& ids) {
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      out_rows.push_back(static_cast<int32_t>(tokens.size()));
      tokens.push_back(ids[i]);
      pos.push_back(static_cast<int32_t>(i));
      targets.push_back(ids[i + 1]);
      weights.push_back(1);
    }
    seq_begin.push_back(static_cast<int32_t>(tokens.size()));
  }
  Batch view() const {
    return {.tokens = tokens, .pos = pos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = out_rows};
  }
};

TorchModel torch_model(const Path& folder, bool bf16) {
  const Checkpoint checkpoint = Checkpoint::open(folder).value();
  TorchModel model = TorchModel::create(checkpoint.config(), {.bf16 = bf16}).value();
  for (const auto& p : model.parameters()) {
    const std::vector<float> numbers = to_f32(checkpoint.tensor(p.spec.name).value());
    std::copy(numbers.begin(), numbers.end(), p.values.begin());
  }
  model.weights_changed();
  return model;
}

double mean_loss(const TorchModel& model, const Packed& batch) {
  return model.loss(batch.view(), batch.targets, batch.weights).value() /
         static_cast<double>(batch.targets.size());
}

double mean_of(const Json& list) {
  double sum = 0;
  for (const Json& x : list.as_array()) sum += x.to_number<double>();
  return sum / static_cast<double>(list.as_array().size());
}

TEST(TorchModel, TinyModelsGiveTheGoldenLogitsAndLosses) {
  for (const char* name :
       {"tiny-gpt2", "tiny-llama-gqa", "tiny-llama3-rope", "tiny-mistral", "tiny-qwen2", "tiny-qwen3"}) {
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + name);
    const Json json = parse_json(read_file(golden / "golden.json").value()).value();
    Packed batch;
    batch.add(ids_of(json.at("ids")));
    const Path folder = *golden_root / "models" / name;
    const TorchModel exact = torch_model(folder, false);
    EXPECT_NEAR(mean_loss(exact, batch), mean_of(json.at("nll")), 1e-4);
    EXPECT_NEAR(mean_loss(torch_model(folder, true), batch), mean_of(json.at("nll")), 0.03);
    const std::vector<float> logits = exact.output(batch.view()).value(),
                             expected = testing::read_npy(golden / "logits.npy");
    ASSERT_EQ(logits.size() + logits.size() / batch.tokens.size(), expected.size());  // all but the last row
    for (size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 1e-4) << i;
  }
}

TEST(TorchModel, RealModelsGiveTheGoldenLossesAndLogits) {
  for (const char* name : {"stories260K", "stories15M", "minimind2-small"}) {
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + name + "/logits.json");
    const Json json = parse_json(read_file(golden).value()).value();
    const TorchModel exact = torch_model(*golden_root / "models" / name, false);
    const TorchModel fast = torch_model(*golden_root / "models" / name, true);
    for (const Json& test : json.at("cases").as_array()) {
      Packed batch;
      batch.add(ids_of(test.at("ids")));
      EXPECT_NEAR(mean_loss(exact, batch), mean_of(test.at("nll")), 1e-4);
      EXPECT_NEAR(mean_loss(fast, batch), mean_of(test.at("nll")), 0.05);  // of a few tokens each
    }
    testing::expect_golden_logits(golden.parent_path(), [&](const std::vector<int32_t>& ids) {
      testing::TokenRows rows;
      rows.add(ids, testing::TokenRows::Read::kAll);
      return exact.output(rows.view()).value();
    });
  }
}

ModelConfig random_config(Random& random) {
  ModelConfig config;
  config.num_key_value_heads = static_cast<int64_t>(1 + random.below(3));
  config.num_attention_heads = config.num_key_value_heads * static_cast<int64_t>(1 + random.below(3));
  config.head_dim = static_cast<int64_t>(4 * (1 + random.below(6)));
  config.hidden_size = random.below(2) == 0 ? config.num_attention_heads * config.head_dim
                                            : static_cast<int64_t>(8 * (1 + random.below(8)));
  config.intermediate_size = static_cast<int64_t>(8 * (1 + random.below(12)));
  config.num_hidden_layers = static_cast<int64_t>(1 + random.below(3));
  config.vocab_size = static_cast<int64_t>(33 + random.below(300));
  config.tie_word_embeddings = random.below(2) == 0;
  LlamaFields own;
  own.rms_norm_eps = random.below(2) == 0 ? 1e-5 : 1e-6;
  own.rope.theta = random.below(2) == 0 ? 10000 : 500000;
  if (random.below(3) == 0)
    own.rope.scaling =
        RopeScaling{.type = RopeScaling::Type::kLlama3, .factor = 8, .original_max_position_embeddings = 64};
  config.own = own;
  return config;
}

void fill_random(TorchModel& model, Random& random) {
  for (const auto& p : model.parameters()) {
    const double deviation =
        p.spec.shape.size() == 1 ? 0.2 : 1.0 / std::sqrt(static_cast<double>(p.spec.shape[1]));
    for (float& x : p.values)
      x = static_cast<float>((p.spec.shape.size() == 1 ? 1.0 : 0.0) + deviation * random.normal());
  }
  model.weights_changed();
}

Packed random_batch(const ModelConfig& config, Random& random) {
  Packed batch;
  for (uint64_t n = 1 + random.below(4); n > 0; --n) {
    std::vector<int32_t> ids(2 + random.below(70));
    for (int32_t& id : ids) id = static_cast<int32_t>(random.below(static_cast<uint64_t>(config.vocab_size)));
    batch.add(ids);
  }
  return batch;
}

void write_folder(const Path& folder, const TorchModel& model) {
  std::map<std::string, SafetensorsEntry> tensors;
  for (const auto& p : model.parameters())
    tensors[p.spec.name] = {"F32", p.spec.shape, std::as_bytes(std::span<const float>(p.values))};
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
  ASSERT_TRUE(write_file_atomic(folder / "config.json", dump_json(model.config().to_json())));
}

TEST(TorchModel, RandomArchitecturesGiveTheLogitsOfTheNativeModel) {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    Random random(seed);
    const ModelConfig config = random_config(random);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + dump_json(config.to_json()));
    TorchModel model = TorchModel::create(config, {}).value();
    fill_random(model, random);
    const Packed batch = random_batch(config, random);
    const std::vector<float> got = model.output(batch.view()).value();

    const testing::ScratchDir scratch;
    write_folder(scratch.path(), model);
    const auto native = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 1}).value();
    const auto expected = native->logits(batch.view());
    ASSERT_EQ(got.size(), expected.size());
    float largest = 1;
    for (const float x : expected) largest = std::max(largest, std::abs(x));
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], 2e-5F * largest) << "logit " << i;
  }
}

TEST(TorchModel, PackedDocumentsEqualSeparateOnes) {
  Random random(7);
  ModelConfig config = random_config(random);
  TorchModel model = TorchModel::create(config, {}).value();
  fill_random(model, random);
  Packed together;
  std::vector<float> apart;
  double apart_loss = 0;
  std::vector<std::vector<float>> apart_gradients(model.parameters().size());
  for (int i = 0; i < 3; ++i) {
    Packed one = random_batch(config, random);
    std::vector<int32_t> ids = one.tokens;
    one = {};
    one.add(ids);
    together.add(ids);
    const std::vector<float> logits = model.output(one.view()).value();
    apart.insert(apart.end(), logits.begin(), logits.end());
    apart_loss += model.loss_and_gradient(one.view(), one.targets, one.weights, 1).value();
  }
  for (size_t i = 0; i < apart_gradients.size(); ++i)
    apart_gradients[i].assign(model.parameters()[i].gradient.begin(), model.parameters()[i].gradient.end());
  model.zero_gradients();
  const std::vector<float> logits = model.output(together.view()).value();
  ASSERT_EQ(logits.size(), apart.size());
  for (size_t i = 0; i < apart.size(); ++i) ASSERT_NEAR(logits[i], apart[i], 1e-4);
  EXPECT_NEAR(model.loss_and_gradient(together.view(), together.targets, together.weights, 1).value(),
              apart_loss, 1e-3);
  for (size_t i = 0; i < apart_gradients.size(); ++i)
    for (size_t j = 0; j < apart_gradients[i].size(); ++j)
      ASSERT_NEAR(model.parameters()[i].gradient[j], apart_gradients[i][j],
                  2e-3 + 1e-3 * std::abs(static_cast<double>(apart_gradients[i][j])))
          << model.parameters()[i].spec.name << " " << j;
}

// The whole model's gradient against a difference of its loss along random directions.
TEST(TorchModel, GradientOfTheWholeModelMatchesDifferences) {
  for (const uint64_t seed : {3, 4, 5}) {
    Random random(seed);
    const ModelConfig config = random_config(random);
    TorchModel model = TorchModel::create(config, {}).value();
    fill_random(model, random);
    const Packed batch = random_batch(config, random);
    ASSERT_TRUE(model.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1));
    for (const auto& p : model.parameters()) {
      std::vector<float> direction(p.values.size()), old(p.values.begin(), p.values.end());
      double expected = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = static_cast<float>(random.normal());
        expected += static_cast<double>(direction[i]) * static_cast<double>(p.gradient[i]);
      }
      const auto loss_at = [&](float step) {
        for (size_t i = 0; i < old.size(); ++i) p.values[i] = old[i] + step * direction[i];
        model.weights_changed();
        return model.loss(batch.view(), batch.targets, batch.weights).value();
      };
      const float step = 2e-3F / std::sqrt(static_cast<float>(old.size()));
      const double got = (loss_at(step) - loss_at(-step)) / (2 * static_cast<double>(step));
      loss_at(0);
      double norm = 0;
      for (const float g : p.gradient) norm += static_cast<double>(g) * static_cast<double>(g);
      EXPECT_NEAR(got, expected, 0.02 * std::sqrt(norm) + 0.3) << "seed " << seed << " " << p.spec.name;
    }
  }
}

// Hinton, Vinyals, Dean 2015, in plain doubles: {hard, soft} summed over rows with their weights.
std::array<double, 2> distil_reference(const std::vector<float>& student, const std::vector<float>& teacher,
                                       const Packed& batch, double heat, size_t top_k) {
  const size_t n = student.size() / batch.targets.size();
  std::array<double, 2> sums{};
  const auto log_softmax = [](std::vector<double> x) {
    double total = 0;
    for (const double each : x) total += std::exp(each);
    for (double& each : x) each -= std::log(total);
    return x;
  };
  for (size_t r = 0; r < batch.targets.size(); ++r) {
    std::vector<double> z(n), cool(n), his(n);
    for (size_t i = 0; i < n; ++i) {
      z[i] = static_cast<double>(student[r * n + i]);
      cool[i] = z[i] / heat;
      his[i] = static_cast<double>(teacher[r * n + i]) / heat;
    }
    std::vector<double> sorted = his;
    std::sort(sorted.rbegin(), sorted.rend());
    for (double& each : his)
      if (top_k > 0 && each < sorted[top_k - 1]) each = -1e300;
    const std::vector<double> hard = log_softmax(z), q = log_softmax(cool), p = log_softmax(his);
    const auto weight = static_cast<double>(batch.weights[r]);
    sums[0] -= weight * hard[static_cast<size_t>(batch.targets[r])];
    for (size_t i = 0; i < n; ++i)
      if (std::exp(p[i]) > 0) sums[1] += weight * heat * heat * std::exp(p[i]) * (p[i] - q[i]);
  }
  return sums;
}

TEST(TorchModel, DistillationGivesTheLossOfThePaperAndItsGradient) {
  struct Case {
    double temperature, alpha;
    size_t top_k;
  };
  for (const Case& c : {Case{1, 0.5, 0}, Case{2.5, 0.7, 0}, Case{2, 1, 5}, Case{3, 0, 0}}) {
    SCOPED_TRACE(fmt::format("T {} alpha {} top_k {}", c.temperature, c.alpha, c.top_k));
    Random random(11);
    const ModelConfig config = random_config(random);
    ModelConfig larger = config;
    larger.num_hidden_layers += 1;
    TorchModel student = TorchModel::create(config, {}).value(),
               teacher = TorchModel::create(larger, {}).value();
    fill_random(student, random);
    fill_random(teacher, random);
    Packed batch = random_batch(config, random);
    for (float& w : batch.weights) w = static_cast<float>(0.5 + random.uniform());
    const TorchModel::Distil how{c.temperature, c.alpha, static_cast<int64_t>(c.top_k)};
    const auto reference = [&] {
      const auto sums = distil_reference(student.output(batch.view()).value(),
                                         teacher.output(batch.view()).value(), batch, c.temperature, c.top_k);
      return std::array{sums[0], sums[1], c.alpha * sums[1] + (1 - c.alpha) * sums[0]};
    };
    const auto got =
        student.distil_loss_and_gradient(batch.view(), teacher, batch.targets, batch.weights, how, 1).value();
    const auto expected = reference();
    EXPECT_NEAR(got.hard, expected[0], 1e-4 * expected[0] + 1e-3);
    EXPECT_NEAR(got.soft, expected[1], 1e-4 * expected[1] + 1e-3);
    EXPECT_NEAR(got.loss, expected[2], 1e-4 * expected[2] + 1e-3);
    for (const auto& p : student.parameters()) {
      std::vector<float> direction(p.values.size()), old(p.values.begin(), p.values.end());
      double along = 0, norm = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = static_cast<float>(random.normal());
        along += static_cast<double>(direction[i]) * static_cast<double>(p.gradient[i]);
        norm += static_cast<double>(p.gradient[i]) * static_cast<double>(p.gradient[i]);
      }
      const auto loss_at = [&](float step) {
        for (size_t i = 0; i < old.size(); ++i) p.values[i] = old[i] + step * direction[i];
        student.weights_changed();
        return reference()[2];
      };
      const float step = 5e-3F / std::sqrt(static_cast<float>(old.size()));
      const double slope = (loss_at(step) - loss_at(-step)) / (2 * static_cast<double>(step));
      loss_at(0);
      EXPECT_NEAR(slope, along, 0.02 * std::sqrt(norm) + 0.1) << p.spec.name;
    }
    for (const auto& p : teacher.parameters())
      for (const float g : p.gradient) ASSERT_EQ(g, 0.0F) << "the teacher learns nothing";
  }
}

TEST(TorchModel, ATeacherWithAnotherVocabularyIsRefused) {
  Random random(2);
  ModelConfig config = random_config(random);
  TorchModel student = TorchModel::create(config, {}).value();
  ++config.vocab_size;
  const TorchModel teacher = TorchModel::create(config, {}).value();
  Packed batch;
  batch.add({1, 2, 3});
  EXPECT_EQ(student.distil_loss_and_gradient(batch.view(), teacher, batch.targets, batch.weights, {}, 1)
                .error()
                .code,
            ErrorCode::kInvalidArgument);
}

TEST(TorchModel, IdsOutOfRangeAreErrors) {
  Random random(1);
  const ModelConfig config = random_config(random);
  TorchModel model = TorchModel::create(config, {}).value();
  Packed batch;
  batch.add({0, 1, static_cast<int32_t>(config.vocab_size), 2});
  EXPECT_EQ(model.loss(batch.view(), batch.targets, batch.weights).error().code, ErrorCode::kInvalidArgument);
  Packed negative;
  negative.add({0, -1, 2});
  EXPECT_EQ(model.output(negative.view()).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace volant
