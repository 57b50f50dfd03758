// The hidden states of the golden decoders, layer by layer, trained and served: a model that is cut off after
// some of its layers, with a head that gives its hidden states back.
// T rows, D hidden, L layers.
#include <gtest/gtest.h>

#include <boost/json/value_to.hpp>
#include <cmath>
#include <numeric>

#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "models/instances/torch.h"
#include "models/tensor_layout.h"
#include "support/npy.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using testing::ScratchDir;
using testing::TokenRows;

// The first `n_layer` layers; the first D words of the new head are the hidden states.
ModelConfig write_beginning(const Checkpoint& whole, int64_t n_layer, const Path& folder) {
  ModelConfig config = whole.config();
  config.num_hidden_layers = n_layer;
  config.tie_word_embeddings = false;
  std::map<std::string, std::vector<std::byte>> bytes;
  std::map<std::string, SafetensorsEntry> entries;
  for (const TensorSpec& spec : tensor_specs(config)) {
    std::vector<float> numbers(static_cast<size_t>(spec.count()));
    if (spec.role == TensorRole::kHead) {
      for (int64_t d = 0; d < config.hidden_size; ++d)
        numbers[static_cast<size_t>(d * config.hidden_size + d)] = 1;
    } else {
      numbers = to_f32(whole.tensor(spec.name).value());
    }
    const auto raw = std::as_bytes(std::span<const float>(numbers));
    std::vector<int64_t> shape = spec.shape;
    bytes[spec.name] = spec.transposed ? transposed({DType::kF32, shape, raw})
                                       : std::vector<std::byte>(raw.begin(), raw.end());
    if (spec.transposed) std::swap(shape[0], shape[1]);
    entries[spec.name] = {"F32", shape, bytes[spec.name]};
  }
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", entries));
  EXPECT_TRUE(write_file_atomic(folder / "config.json", dump_json(config.to_json())));
  return config;
}

// What the last norm makes of a row; `bias` empty: the root mean square alone.
std::vector<double> normed(std::span<const float> row, const std::vector<float>& weight,
                           const std::vector<float>& bias, double eps) {
  const auto n = static_cast<double>(row.size());
  const double mean = bias.empty() ? 0 : std::accumulate(row.begin(), row.end(), 0.0) / n;
  double square = 0;
  for (const float x : row) square += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean);
  std::vector<double> out;
  for (size_t i = 0; i < row.size(); ++i)
    out.push_back((static_cast<double>(row[i]) - mean) / std::sqrt(square / n + eps) *
                      static_cast<double>(weight[i]) +
                  (bias.empty() ? 0 : static_cast<double>(bias[i])));
  return out;
}

class HiddenStates : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Golden, HiddenStates,
                         ::testing::Values("tiny-gpt2", "tiny-llama-gqa", "tiny-llama3-rope", "tiny-mistral",
                                           "tiny-qwen2", "tiny-qwen3"),
                         [](const auto& name) {
                           std::string text = name.param;
                           std::replace(text.begin(), text.end(), '-', '_');
                           return text;
                         });

TEST_P(HiddenStates, OfEveryLayerAreTheGoldenOnes) {
  VOLANT_DATA_OR_SKIP(folder, std::string("models/") + GetParam());
  const Path golden = *folder_root / "golden" / GetParam();
  const Json json = parse_json(read_file(golden / "golden.json").value()).value();
  TokenRows rows;
  rows.add(boost::json::value_to<std::vector<int32_t>>(json.at("ids")), TokenRows::Read::kAll);
  const std::vector<float> states = testing::read_npy(golden / "hidden_states.npy");  // [L + 1, T, D]
  const Checkpoint whole = Checkpoint::open(folder).value();
  const bool gpt2 = std::holds_alternative<Gpt2Fields>(whole.config().own);
  const std::string norm = gpt2 ? "transformer.ln_f." : "model.norm.";
  const std::vector<float> weight = to_f32(whole.tensor(norm + "weight").value()),
                           bias = gpt2 ? to_f32(whole.tensor(norm + "bias").value()) : std::vector<float>();
  const Json fields = whole.config().to_json();
  const double eps = fields.at(gpt2 ? "layer_norm_epsilon" : "rms_norm_eps").to_number<double>();
  const auto L = static_cast<size_t>(whole.config().num_hidden_layers), T = rows.tokens.size(),
             D = static_cast<size_t>(whole.config().hidden_size),
             V = static_cast<size_t>(whole.config().vocab_size);
  ASSERT_EQ(states.size(), (L + 1) * T * D);
  for (size_t n_layer = 1; n_layer <= L; ++n_layer) {
    const ScratchDir scratch;
    const ModelConfig config = write_beginning(whole, static_cast<int64_t>(n_layer), scratch.path());
    const Checkpoint cut = Checkpoint::open(scratch.path()).value();
    const auto native = NativeModel::load(cut, {.n_threads = 1}).value();
    TorchModel torch = TorchModel::create(config, {}).value();
    for (const auto& p : torch.parameters()) {
      const std::vector<float> numbers = to_f32(cut.tensor(p.spec.name).value());
      std::copy(numbers.begin(), numbers.end(), p.values.begin());
    }
    torch.weights_changed();
    const auto served = native->output(rows.view());
    const std::vector<float> trained = torch.output(rows.view()).value();
    for (size_t t = 0; t < T; ++t) {
      const auto row = std::span(states).subspan((n_layer * T + t) * D, D);
      const std::vector<double> expected =
          n_layer == L ? std::vector<double>(row.begin(), row.end()) : normed(row, weight, bias, eps);
      for (size_t d = 0; d < D; ++d) {
        ASSERT_NEAR(served[t * V + d], expected[d], 1e-4) << "layer " << n_layer << " row " << t;
        ASSERT_NEAR(trained[t * V + d], expected[d], 1e-4) << "layer " << n_layer << " row " << t;
      }
    }
  }
}

}  // namespace
}  // namespace volant
