// Frozen weights and adapters of the trained model: gradients, merging, dropout, memory; and the same
// adapters unmerged on the native model, several in one batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "io/safetensors.h"
#include "models/instances/native.h"
#include "models/instances/torch.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using Kind = AdapterSpec::Kind;

ModelConfig small_config() {
  ModelConfig config;
  config.vocab_size = 61;
  config.hidden_size = 64;
  config.intermediate_size = 96;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 16;
  config.tie_word_embeddings = true;
  return config;
}

struct Packed {
  std::vector<int32_t> tokens, pos, seq_begin{0}, out_rows, targets;
  std::vector<float> weights;
  Batch view() const {
    return {.tokens = tokens, .pos = pos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = out_rows};
  }
};
// Three sequences, every row read out.
Packed some_batch() {
  Random random(3);
  Packed batch;
  for (const int32_t length : {7, 1, 12}) {
    for (int32_t i = 0; i < length; ++i) {
      batch.out_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
      batch.tokens.push_back(static_cast<int32_t>(random.below(61)));
      batch.pos.push_back(i);
      batch.targets.push_back(static_cast<int32_t>(random.below(61)));
      batch.weights.push_back(1);
    }
    batch.seq_begin.push_back(static_cast<int32_t>(batch.tokens.size()));
  }
  return batch;
}

std::vector<float> random_numbers(int64_t n, double deviation, Random& random) {
  std::vector<float> numbers(static_cast<size_t>(n));
  for (float& x : numbers) x = static_cast<float>(deviation * random.normal());
  return numbers;
}

void fill_base(TorchModel& model, uint64_t seed = 1) {
  Random random(seed);
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    const bool vector = spec.shape.size() == 1;
    std::vector<float> numbers = random_numbers(
        spec.count(), vector ? 0.2 : 1 / std::sqrt(static_cast<double>(spec.shape[1])), random);
    if (vector)
      for (float& x : numbers) x += 1;
    model.write(i, numbers);
  }
}

// Factors as training leaves them: B is no longer zero, magnitudes are no longer the norms.
void fill_factors(TorchModel& model, uint64_t seed) {
  model.start_adapters(seed);
  Random random(seed);
  for (const auto& p : model.parameters()) {
    if (p.spec.name.find("lora_B") != std::string::npos)
      for (float& x : p.values) x = static_cast<float>(0.05 * random.normal());
    if (p.spec.name.find("magnitude") != std::string::npos)
      for (float& x : p.values) x *= static_cast<float>(1 + 0.2 * random.normal());
  }
  model.weights_changed();
}

TorchModel adapted_model(Kind kind, DType base, double dropout = 0) {
  TorchModel model =
      TorchModel::create(small_config(),
                         {.adapter = AdapterSpec{.kind = kind, .r = 3, .alpha = 4, .dropout = dropout},
                          .frozen_dtype = base})
          .value();
  fill_base(model);
  fill_factors(model, 9);
  return model;
}

double loss_of(const TorchModel& model, const Packed& batch) {
  return model.loss(batch.view(), batch.targets, batch.weights).value();
}

void expect_same(const std::vector<float>& got, std::span<const float> expected, float tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  float largest = 1;
  for (const float x : expected) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], tolerance * largest) << i;
}

TEST(TorchAdapter, MergedModelGivesTheLogitsOfTheUnmergedOne) {
  const Packed batch = some_batch();
  for (const Kind kind : {Kind::kLora, Kind::kRsLora, Kind::kDora})
    for (const DType base : {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kIQ4_NL}) {
      SCOPED_TRACE(dtype_info(base).name);
      const TorchModel model = adapted_model(kind, base);
      TorchModel merged = TorchModel::create(small_config(), {}).value();
      for (size_t i = 0; i < model.tensors().size(); ++i) merged.write(i, model.merged(i));
      expect_same(model.output(batch.view()).value(), merged.output(batch.view()).value(), 2e-5F);
    }
}

TEST(TorchAdapter, NewAdaptersLeaveTheModelAsItIs) {
  const Packed batch = some_batch();
  for (const Kind kind : {Kind::kLora, Kind::kDora}) {
    TorchModel model = adapted_model(kind, DType::kF32);
    model.start_adapters(4);
    TorchModel plain = TorchModel::create(small_config(), {}).value();
    fill_base(plain);
    expect_same(model.output(batch.view()).value(), plain.output(batch.view()).value(), 1e-5F);
  }
}

// The distance of what the model computes with to the base as it was written, over all matrices with
// adapters.
double squares_to_written(const TorchModel& model, const TorchModel& written) {
  double squares = 0;
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    if (model.tensors()[i].role != TensorRole::kMatrix) continue;
    const std::vector<float> a = model.merged(i), b = written.merged(i);
    for (size_t k = 0; k < a.size(); ++k) squares += std::pow(static_cast<double>(a[k] - b[k]), 2);
  }
  return squares;
}

TorchModel started_model(int64_t r, bool from_rounding) {
  TorchModel model = TorchModel::create(small_config(), {.adapter = AdapterSpec{.r = r, .alpha = 12},
                                                         .frozen_dtype = DType::kIQ4_NL,
                                                         .start_from_rounding = from_rounding})
                         .value();
  fill_base(model);
  model.start_adapters(4);
  return model;
}

TEST(TorchAdapter, AStartFromRoundingIsNearerToTheBaseAndWithTheWholeRankIsTheBase) {
  TorchModel plain = TorchModel::create(small_config(), {}).value();
  fill_base(plain);
  const double rounding = squares_to_written(started_model(8, false), plain);
  const double eight = squares_to_written(started_model(8, true), plain);
  EXPECT_LT(eight, 0.8 * rounding);
  EXPECT_GT(eight, 0.2 * rounding);
  EXPECT_LT(squares_to_written(started_model(32, true), plain), eight / 1.5);  // the rank of keys and values
  EXPECT_FALSE(TorchModel::create(
      small_config(),
      {.adapter = AdapterSpec{.r = 33}, .frozen_dtype = DType::kIQ4_NL, .start_from_rounding = true}));
}

TEST(TorchAdapter, AStartFromRoundingGivesAnAdapterOfWhatWasLearnedSince) {
  TorchModel model = started_model(3, true), plain = TorchModel::create(small_config(), {}).value();
  fill_base(plain);
  std::vector<std::vector<float>> before;
  for (size_t i = 0; i < model.tensors().size(); ++i) before.push_back(model.merged(i));
  Random random(8);
  for (const auto& p : model.parameters())
    for (float& x : p.values) x += static_cast<float>(0.05 * random.normal());
  model.weights_changed();
  const Adapter adapter = *model.adapter();
  EXPECT_EQ(adapter.spec.r, 6);
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    const auto found = adapter.factors.find(spec.name);
    if (found == adapter.factors.end()) continue;
    const std::vector<float> after = model.merged(i);
    std::vector<float> learned(after.size());
    merge_adapter(found->second, adapter.spec, spec.shape[0], spec.shape[1], learned);
    for (size_t k = 0; k < learned.size(); ++k)
      ASSERT_NEAR(learned[k], after[k] - before[i][k], 1e-5) << spec.name;
  }
}

// Along random directions; the norm of DoRA counts as a constant in its gradients, so that those of A and B
// are checked in the test that follows.
TEST(TorchAdapter, GradientsMatchDifferences) {
  const Packed batch = some_batch();
  for (const Kind kind : {Kind::kLora, Kind::kRsLora, Kind::kDora})
    for (const DType base : {DType::kF32, DType::kQ8_0, DType::kIQ4_NL}) {
      TorchModel model = adapted_model(kind, base);
      ASSERT_TRUE(model.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1));
      Random random(5);
      for (const auto& p : model.parameters()) {
        if (kind == Kind::kDora && p.spec.name.find("magnitude") == std::string::npos) continue;
        const std::vector<float> old(p.values.begin(), p.values.end()),
            direction = random_numbers(p.spec.count(), 1, random);
        double expected = 0, norm = 0;
        for (size_t i = 0; i < old.size(); ++i) {
          const auto g = static_cast<double>(p.gradient[i]);
          expected += static_cast<double>(direction[i]) * g;
          norm += g * g;
        }
        const auto loss_at = [&](float step) {
          for (size_t i = 0; i < old.size(); ++i) p.values[i] = old[i] + step * direction[i];
          model.weights_changed();
          return loss_of(model, batch);
        };
        const float step = 4e-3F / std::sqrt(static_cast<float>(old.size()));
        const double got = (loss_at(step) - loss_at(-step)) / (2 * static_cast<double>(step));
        loss_at(0);
        EXPECT_GT(norm, 0) << p.spec.name;
        EXPECT_NEAR(got, expected, 0.03 * std::sqrt(norm) + 0.05) << p.spec.name;
      }
    }
}

// With the norms n held still, DoRA is LoRA beside c W with factors A and c B, c = magnitude / n.
TEST(TorchAdapter, GradientsOfDoraAreThoseOfLoraBesideScaledWeights) {
  const Packed batch = some_batch();
  TorchModel dora = adapted_model(Kind::kDora, DType::kF32), lora = adapted_model(Kind::kLora, DType::kF32);
  const Adapter adapter = *dora.adapter();
  std::map<std::string, std::vector<float>> factor;  // c by tensor
  for (size_t i = 0; i < dora.tensors().size(); ++i) {
    const TensorSpec& spec = dora.tensors()[i];
    const auto found = adapter.factors.find(spec.name);
    if (found == adapter.factors.end()) continue;
    TorchModel plain = TorchModel::create(small_config(), {}).value();
    fill_base(plain);
    std::vector<float> w = plain.merged(i), with = w;
    AdapterFactors no_magnitude = found->second;
    no_magnitude.magnitude_O.clear();
    merge_adapter(no_magnitude, adapter.spec, spec.shape[0], spec.shape[1], with);
    for (int64_t o = 0; o < spec.shape[0]; ++o) {
      double squares = 0;
      for (int64_t k = 0; k < spec.shape[1]; ++k) {
        const auto x = static_cast<double>(with[static_cast<size_t>(o * spec.shape[1] + k)]);
        squares += x * x;
      }
      const float c =
          found->second.magnitude_O[static_cast<size_t>(o)] / static_cast<float>(std::sqrt(squares));
      factor[spec.name].push_back(c);
      for (int64_t k = 0; k < spec.shape[1]; ++k) w[static_cast<size_t>(o * spec.shape[1] + k)] *= c;
    }
    lora.write(i, w);
  }
  const auto find = [](TorchModel& model, const std::string& name) {
    return *std::ranges::find_if(model.parameters(), [&](const auto& p) { return p.spec.name == name; });
  };
  for (const auto& [name, c] : factor) {
    const auto from_a = find(dora, peft_name(name, "lora_A.weight")),
               to_a = find(lora, peft_name(name, "lora_A.weight"));
    const auto from_b = find(dora, peft_name(name, "lora_B.weight")),
               to_b = find(lora, peft_name(name, "lora_B.weight"));
    std::ranges::copy(from_a.values, to_a.values.begin());
    for (size_t i = 0; i < from_b.values.size(); ++i) to_b.values[i] = from_b.values[i] * c[i / 3];
  }
  lora.weights_changed();
  EXPECT_NEAR(loss_of(lora, batch), loss_of(dora, batch), 1e-3);
  ASSERT_TRUE(dora.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1));
  ASSERT_TRUE(lora.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1));
  for (const auto& [name, c] : factor) {
    const auto a = find(dora, peft_name(name, "lora_A.weight")),
               b = find(dora, peft_name(name, "lora_B.weight"));
    const auto want_a = find(lora, peft_name(name, "lora_A.weight")),
               want_b = find(lora, peft_name(name, "lora_B.weight"));
    for (size_t i = 0; i < a.gradient.size(); ++i)
      ASSERT_NEAR(a.gradient[i], want_a.gradient[i], 2e-3) << name;
    for (size_t i = 0; i < b.gradient.size(); ++i)
      ASSERT_NEAR(b.gradient[i], want_b.gradient[i] * c[i / 3], 2e-3) << name;
  }
}

TEST(TorchAdapter, FrozenTensorsLeaveTheOtherGradientsAsTheyAre) {
  const Packed batch = some_batch();
  TorchModel whole = TorchModel::create(small_config(), {}).value();
  TorchModel part =
      TorchModel::create(
          small_config(),
          {.trains = [](const TensorSpec& spec) { return spec.name.find("layers.1.") != std::string::npos; }})
          .value();
  fill_base(whole);
  fill_base(part);
  EXPECT_NEAR(whole.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1).value(),
              part.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1).value(), 1e-4);
  ASSERT_EQ(part.parameters().size(), 9U);
  for (const auto& p : part.parameters()) {
    const auto same =
        *std::ranges::find_if(whole.parameters(), [&](const auto& q) { return q.spec.name == p.spec.name; });
    for (size_t i = 0; i < p.gradient.size(); ++i)
      ASSERT_NEAR(p.gradient[i], same.gradient[i], 1e-4) << p.spec.name;
  }
}

TEST(TorchAdapter, DropoutFollowsFromTheSeedAlone) {
  const Packed batch = some_batch();
  TorchModel model = adapted_model(Kind::kLora, DType::kF32, 0.5);
  const auto gradient = [&](uint64_t seed) {
    model.zero_gradients();
    model.begin_step(seed);
    EXPECT_TRUE(model.loss_and_gradient(batch.view(), batch.targets, batch.weights, 1));
    std::vector<float> all;
    for (const auto& p : model.parameters()) all.insert(all.end(), p.gradient.begin(), p.gradient.end());
    return all;
  };
  const std::vector<float> first = gradient(7);
  EXPECT_EQ(gradient(7), first);
  EXPECT_NE(gradient(8), first);
  const TorchModel without = adapted_model(Kind::kLora, DType::kF32);
  EXPECT_EQ(loss_of(model, batch), loss_of(without, batch));  // nothing is dropped in evaluation
}

TEST(TorchAdapter, MemoryIsThatOfTheBitsAndOfWhatIsTrained) {
  const TorchMemory full = TorchModel::create(small_config(), {}).value().memory();
  EXPECT_EQ(full.trained, full.gradients);
  EXPECT_EQ(full.frozen, 0U);
  const TorchMemory four = adapted_model(Kind::kLora, DType::kIQ4_NL).memory();
  const TorchMemory eight = adapted_model(Kind::kLora, DType::kQ8_0).memory();
  uint64_t matrices = 0;
  for (const TensorSpec& spec : tensor_specs(small_config()))
    if (spec.role == TensorRole::kMatrix) matrices += static_cast<uint64_t>(spec.count());
  EXPECT_EQ(eight.frozen - four.frozen, matrices / 2);  // 34 and 18 bytes for 32 numbers
  EXPECT_EQ(four.n_trained * 4, four.trained);
  EXPECT_LT(four.frozen + four.trained + four.gradients, full.trained / 2);
}

TEST(NativeAdapter, SequencesWithDifferentAdaptersShareABatch) {
  const Packed batch = some_batch();
  for (const Kind kind : {Kind::kLora, Kind::kDora}) {
    TorchModel model = adapted_model(kind, DType::kF32);
    const testing::ScratchDir scratch;
    std::map<std::string, SafetensorsEntry> tensors;
    TorchModel plain = TorchModel::create(small_config(), {}).value();
    fill_base(plain);
    std::vector<std::vector<float>> numbers;
    numbers.reserve(plain.tensors().size());
    for (size_t i = 0; i < plain.tensors().size(); ++i) {
      numbers.push_back(plain.merged(i));
      tensors[plain.tensors()[i].name] = {"F32", plain.tensors()[i].shape,
                                          std::as_bytes(std::span<const float>(numbers.back()))};
    }
    ASSERT_TRUE(write_safetensors(scratch / "model.safetensors", tensors));
    ASSERT_TRUE(write_file_atomic(scratch / "config.json", dump_json(plain.config().to_json())));
    const auto native = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 1}).value();
    const std::vector<float> none = plain.output(batch.view()).value(),
                             first = model.output(batch.view()).value();
    EXPECT_EQ(native->add_adapter(*model.adapter()).value(), 1);
    fill_factors(model, 77);
    const std::vector<float> second = model.output(batch.view()).value();
    EXPECT_EQ(native->add_adapter(*model.adapter()).value(), 2);

    const std::vector<int32_t> numbers_of_sequences = {2, 0, 1};
    Batch mixed = batch.view();
    mixed.adapter = numbers_of_sequences;
    const auto got = native->logits(mixed);
    std::vector<float> expected;
    const size_t n_vocab = 61;
    for (size_t row = 0; row < batch.tokens.size(); ++row) {
      const std::vector<float>& from = row < 7 ? second : row < 8 ? none : first;
      expected.insert(expected.end(), from.begin() + static_cast<std::ptrdiff_t>(row * n_vocab),
                      from.begin() + static_cast<std::ptrdiff_t>((row + 1) * n_vocab));
    }
    expect_same(expected, got, 3e-5F);
    expect_same(none, native->logits(batch.view()), 3e-5F);
  }
}

}  // namespace
}  // namespace volant
