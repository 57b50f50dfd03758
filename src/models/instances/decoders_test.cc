// Every decoder family, trained and served, against an independent reference in plain loops; its gradients
// against differences; its cache against one pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "models/instances/torch.h"
#include "ops/torch/backend.h"
#include "support/decoder_reference.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using testing::DecoderReference;
using testing::ScratchDir;

std::vector<int32_t> random_ids(int64_t n_vocab, size_t n, Random& random) {
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.below(static_cast<uint64_t>(n_vocab)));
  return ids;
}

// Several documents in one batch, every row read out.
struct Packed {
  std::vector<int32_t> tokens, pos, begins{0}, rows, targets;
  std::vector<float> weights;
  explicit Packed(const std::vector<std::vector<int32_t>>& documents) {
    for (const std::vector<int32_t>& ids : documents) {
      for (size_t i = 0; i < ids.size(); ++i) {
        rows.push_back(static_cast<int32_t>(tokens.size()));
        tokens.push_back(ids[i]);
        pos.push_back(static_cast<int32_t>(i));
        targets.push_back(ids[(i + 1) % ids.size()]);
        weights.push_back(0.5F + 0.25F * static_cast<float>(i % 3));
      }
      begins.push_back(static_cast<int32_t>(tokens.size()));
    }
  }
  Batch view() const {
    return {.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = {}, .out_rows = rows};
  }
};

TorchModel load_torch(const Checkpoint& checkpoint, bool bf16,
                      TorchBackend backend = TorchBackend::kKernels) {
  choose_torch_backend(backend);
  TorchModel model = TorchModel::create(checkpoint.config(), {.bf16 = bf16}).value();
  choose_torch_backend(TorchBackend::kKernels);
  for (const auto& p : model.parameters()) {
    const std::vector<float> numbers = to_f32(checkpoint.tensor(p.spec.name).value());
    std::copy(numbers.begin(), numbers.end(), p.values.begin());
  }
  model.weights_changed();
  return model;
}

class Decoder : public ::testing::TestWithParam<std::string> {
 protected:
  // A model of the family in the folder of this test.
  ModelConfig make(uint64_t seed) {
    Random random(seed);
    json_ = testing::random_config(GetParam(), random);
    const ModelConfig config = ModelConfig::from_json(json_).value();
    tensors_ = testing::write_random_model(scratch_.path(), config, random);
    return config;
  }
  Checkpoint open() const { return Checkpoint::open(scratch_.path()).value(); }
  // Of a sequence without a cache.
  static std::vector<float> logits_of(NativeModel& model, const std::vector<int32_t>& ids) {
    const Packed batch({ids});
    const auto logits = model.logits(batch.view());
    return {logits.begin(), logits.end()};
  }

  ScratchDir scratch_;
  Json json_;
  testing::NamedTensors tensors_;
};

INSTANTIATE_TEST_SUITE_P(Families, Decoder, ::testing::ValuesIn(testing::decoder_families()),
                         [](const auto& name) {
                           std::string text = name.param;
                           std::replace(text.begin(), text.end(), ':', '_');
                           return text;
                         });

TEST_P(Decoder, ServedAndTrainedItGivesTheLogitsOfTheReference) {
  for (const uint64_t seed : {1, 2, 3}) {
    const ModelConfig config = make(seed);
    SCOPED_TRACE(dump_json(json_));
    Random random(seed + 100);
    const std::vector<std::vector<int32_t>> documents = {random_ids(config.vocab_size, 37, random),
                                                         random_ids(config.vocab_size, 5, random)};
    const Packed batch(documents);
    const auto native = NativeModel::load(open(), {.n_threads = 1}).value();
    const std::vector<float> trained = load_torch(open(), false).output(batch.view()).value();
    const auto served = native->logits(batch.view());
    ASSERT_EQ(served.size(), trained.size());
    const DecoderReference reference(json_, tensors_);
    size_t at = 0;
    for (const std::vector<int32_t>& ids : documents) {
      for (const std::vector<double>& row : reference.logits(ids))
        for (const double expected : row) {
          ASSERT_NEAR(served[at], expected, 1e-4 * (1 + std::abs(expected))) << at;
          ASSERT_NEAR(trained[at], expected, 1e-4 * (1 + std::abs(expected))) << at;
          ++at;
        }
    }
    ASSERT_EQ(at, served.size());
  }
}

TEST_P(Decoder, GradientMatchesDifferencesOfItsLoss) {
  const ModelConfig config = make(4);
  TorchModel model = load_torch(open(), false);
  Random random(9);
  const Packed batch({random_ids(config.vocab_size, 20, random), random_ids(config.vocab_size, 3, random)});
  ASSERT_TRUE(model.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1));
  for (const auto& p : model.parameters()) {
    std::vector<float> direction(p.values.size()), old(p.values.begin(), p.values.end());
    double expected = 0, norm = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = static_cast<float>(random.normal());
      expected += static_cast<double>(direction[i]) * static_cast<double>(p.gradient[i]);
      norm += static_cast<double>(p.gradient[i]) * static_cast<double>(p.gradient[i]);
    }
    EXPECT_GT(norm, 0) << p.spec.name;
    const auto loss_at = [&](float step) {
      for (size_t i = 0; i < old.size(); ++i) p.values[i] = old[i] + step * direction[i];
      model.weights_changed();
      return model.loss(batch.view(), batch.targets, batch.weights).value();
    };
    const float step = 4e-3F / std::sqrt(static_cast<float>(old.size()));
    const double got = (loss_at(step) - loss_at(-step)) / (2 * static_cast<double>(step));
    loss_at(0);
    EXPECT_NEAR(got, expected, 0.02 * std::sqrt(norm) + 0.02) << p.spec.name;
  }
}

// What a GPU runs, beside the kernels of the CPU.
TEST_P(Decoder, InLibtorchsWordsItHasTheSameLossAndGradients) {
  const ModelConfig config = make(7);
  Random random(12);
  const Packed batch({random_ids(config.vocab_size, 20, random), random_ids(config.vocab_size, 3, random),
                      random_ids(config.vocab_size, 20, random)});
  TorchModel kernels = load_torch(open(), false, TorchBackend::kKernels),
             aten = load_torch(open(), false, TorchBackend::kAten);
  const double expected = kernels.loss_and_gradient(batch.view(), batch.targets, batch.weights, 0.5F).value();
  EXPECT_NEAR(aten.loss_and_gradient(batch.view(), batch.targets, batch.weights, 0.5F).value(), expected,
              1e-5 * expected);
  EXPECT_NEAR(aten.loss(batch.view(), batch.targets, batch.weights).value(), expected, 1e-5 * expected);
  for (size_t i = 0; i < kernels.parameters().size(); ++i) {
    const auto &ours = kernels.parameters()[i].gradient, &theirs = aten.parameters()[i].gradient;
    double apart = 0, norm = 0;
    for (size_t j = 0; j < ours.size(); ++j) {
      apart += std::pow(static_cast<double>(ours[j] - theirs[j]), 2);
      norm += std::pow(static_cast<double>(ours[j]), 2);
    }
    EXPECT_GT(norm, 0);
    EXPECT_LT(std::sqrt(apart), 1e-4 * std::sqrt(norm) + 1e-6) << kernels.parameters()[i].spec.name;
  }
}

TEST_P(Decoder, LossInBf16StaysClose) {
  const ModelConfig config = make(5);
  Random random(10);
  const Packed batch({random_ids(config.vocab_size, 40, random)});
  const double exact = load_torch(open(), false).loss(batch.view(), batch.targets, batch.weights).value();
  const double fast = load_torch(open(), true).loss(batch.view(), batch.targets, batch.weights).value();
  EXPECT_NEAR(fast, exact, 0.02 * exact);
}

// A prompt in pieces and then token by token, beside another sequence, gives the bits of one pass.
TEST_P(Decoder, CachedDecodingGivesTheBitsOfOnePass) {
  const ModelConfig config = make(6);
  const auto model = NativeModel::load(open(), {.n_threads = 2, .n_slot = 3, .n_ctx = 128}).value();
  Random random(11);
  const std::vector<int32_t> ids = random_ids(config.vocab_size, 100, random),
                             other = random_ids(config.vocab_size, 100, random);
  const std::vector<float> whole = logits_of(*model, ids);
  const auto n_vocab = static_cast<size_t>(config.vocab_size);
  for (size_t begin = 0, size = 30; begin < ids.size(); begin += size, size = begin < 60 ? 17 : 1) {
    const size_t n = std::min(size, ids.size() - begin);
    std::vector<int32_t> tokens, pos, begins{0}, rows(n);
    for (const std::vector<int32_t>* each : {&ids, &other}) {
      for (size_t i = begin; i < begin + n; ++i) {
        tokens.push_back((*each)[i]);
        pos.push_back(static_cast<int32_t>(i));
      }
      begins.push_back(static_cast<int32_t>(tokens.size()));
    }
    std::iota(rows.begin(), rows.end(), 0);  // of the first sequence
    const std::vector<int32_t> slots{2, 0};
    const auto piece = model->logits(
        {.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = slots, .out_rows = rows});
    ASSERT_TRUE(
        std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<std::ptrdiff_t>(begin * n_vocab)))
        << "from position " << begin;
  }
}

TEST(DecoderModel, PositionsBeyondTheLearnedOnesAreAnError) {
  Random random(1);
  const ModelConfig config = ModelConfig::from_json(testing::random_config("gpt2", random)).value();
  const TorchModel model = TorchModel::create(config, {}).value();
  const Packed batch({random_ids(config.vocab_size, 129, random)});
  const auto output = model.output(batch.view());
  ASSERT_FALSE(output);
  EXPECT_NE(output.error().message.find("positions"), std::string::npos);
}

}  // namespace
}  // namespace volant
