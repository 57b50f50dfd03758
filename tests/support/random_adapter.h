// Adapters with numbers that matter, and the folder that one gives when it is merged into its model: by the
// papers' formulas in plain loops in double, without the product's code.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/safetensors.h"
#include "models/adapter.h"
#include "models/checkpoint.h"

namespace volant::testing {

// Factors of every linear layer, rank 4, large enough to change what a model says.
inline Adapter random_adapter(const ModelConfig& config, AdapterSpec::Kind kind, uint64_t seed) {
  Random random(seed);
  Adapter adapter{.spec = {.kind = kind, .r = 4, .alpha = 8}, .base_model = {}, .factors = {}};
  const std::vector<std::string> names = adapted_tensors(config, adapter.spec).value();
  for (const TensorSpec& tensor : tensor_specs(config)) {
    if (std::find(names.begin(), names.end(), tensor.name) == names.end()) continue;
    AdapterFactors& factors = adapter.factors[tensor.name];
    factors.a_rI.resize(static_cast<size_t>(4 * tensor.shape[1]));
    factors.b_Or.resize(static_cast<size_t>(4 * tensor.shape[0]));
    for (auto* numbers : {&factors.a_rI, &factors.b_Or})
      for (float& x : *numbers) x = static_cast<float>(0.1 * random.normal());
    if (kind == AdapterSpec::Kind::kDora) {
      factors.magnitude_O.resize(static_cast<size_t>(tensor.shape[0]));
      for (float& x : factors.magnitude_O) x = static_cast<float>(1.5 + 0.2 * random.normal());
    }
  }
  return adapter;
}

// W + alpha / r B A (rsLoRA: alpha / sqrt(r)); DoRA: each row of that scaled to its magnitude.
inline void merge_plainly(const Adapter& adapter, const TensorSpec& tensor, std::vector<float>& w) {
  const auto found = adapter.factors.find(tensor.name);
  if (found == adapter.factors.end()) return;
  const auto n_out = static_cast<size_t>(tensor.shape[0]), n_in = static_cast<size_t>(tensor.shape[1]),
             r = static_cast<size_t>(adapter.spec.r);
  const auto rank = static_cast<double>(r);
  const double scale =
      adapter.spec.alpha / (adapter.spec.kind == AdapterSpec::Kind::kRsLora ? std::sqrt(rank) : rank);
  for (size_t o = 0; o < n_out; ++o) {
    std::vector<double> row(n_in);
    double squares = 0;
    for (size_t i = 0; i < n_in; ++i) {
      for (size_t k = 0; k < r; ++k)
        row[i] += scale * static_cast<double>(found->second.b_Or[o * r + k]) *
                  static_cast<double>(found->second.a_rI[k * n_in + i]);
      row[i] += static_cast<double>(w[o * n_in + i]);
      squares += row[i] * row[i];
    }
    const double stretch = adapter.spec.kind == AdapterSpec::Kind::kDora
                               ? static_cast<double>(found->second.magnitude_O[o]) / std::sqrt(squares)
                               : 1;
    for (size_t i = 0; i < n_in; ++i) w[o * n_in + i] = static_cast<float>(stretch * row[i]);
  }
}

// `to`: the folder `model` with the adapter merged into its weights. Not for families whose files hold
// matrices the other way round.
inline void write_merged_model(const Path& model, const Adapter& adapter, const Path& to) {
  namespace fs = std::filesystem;
  const Checkpoint original = Checkpoint::open(model).value();
  ASSERT_TRUE(make_dirs(to));
  for (const auto& entry : fs::directory_iterator(model)) {
    if (entry.path().extension() == ".safetensors") continue;
    ASSERT_TRUE(copy_all(entry.path(), to / entry.path().filename()));
  }
  std::map<std::string, std::vector<float>> numbers;
  std::map<std::string, SafetensorsEntry> entries;
  for (const TensorSpec& tensor : tensor_specs(original.config())) {
    ASSERT_FALSE(tensor.transposed);
    std::vector<float>& w = numbers[tensor.name] = to_f32(original.tensor(tensor.name).value());
    merge_plainly(adapter, tensor, w);
    entries[tensor.name] = {"F32", tensor.shape, std::as_bytes(std::span<const float>(w))};
  }
  ASSERT_TRUE(write_safetensors(to / "model.safetensors", entries));
}

}  // namespace volant::testing
