#include "models/rope_config.h"

#include <cmath>
#include <numbers>

#include "tensor/dtype.h"

namespace volant {
namespace {

Result<std::optional<Llama3RopeScaling>> read_scaling(const Json& rope) {
  std::string type = TRY(json_string_or(rope, "rope_type", ""));
  if (type.empty()) type = TRY(json_string_or(rope, "type", "default"));
  if (type == "default") return std::optional<Llama3RopeScaling>{};
  if (type != "llama3") {
    return fail(ErrorCode::kUnsupported,
                "rope scaling of type '{}' is not supported: supported are default, llama3", type);
  }
  Llama3RopeScaling scaling;
  scaling.factor = TRY(json_number(rope, "factor"));
  scaling.low_freq_factor = TRY(json_number(rope, "low_freq_factor"));
  scaling.high_freq_factor = TRY(json_number(rope, "high_freq_factor"));
  scaling.original_max_position_embeddings = TRY(json_int(rope, "original_max_position_embeddings"));
  if (!(scaling.factor > 0) || !(scaling.low_freq_factor > 0) ||
      !(scaling.high_freq_factor > scaling.low_freq_factor) || scaling.original_max_position_embeddings < 1) {
    return fail(ErrorCode::kParse,
                "rope scaling: expected positive factors, high_freq_factor above low_freq_factor");
  }
  return std::optional<Llama3RopeScaling>{scaling};
}

Status check_theta(double theta) {
  if (theta > 0 && std::isfinite(theta)) return {};
  return fail(ErrorCode::kParse, "'rope_theta' is {}, expected a positive number", theta);
}

// The llama3 rule: long waves are stretched by the factor, short ones stay, those between are blended.
double scaled(double freq, const Llama3RopeScaling& s) {
  const double wavelength = 2 * std::numbers::pi / freq;
  const auto context = static_cast<double>(s.original_max_position_embeddings);
  if (wavelength > context / s.low_freq_factor) return freq / s.factor;
  if (wavelength < context / s.high_freq_factor) return freq;
  const double smooth = (context / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * freq / s.factor + smooth * freq;
}

}  // namespace

Result<RopeConfig> RopeConfig::from_json(const Json& config) {
  RopeConfig rope;
  // transformers 5 moved theta and scaling into "rope_parameters".
  const Json* parameters = json_find(config, "rope_parameters");
  rope.theta = TRY(json_number_or(config, "rope_theta", rope.theta));
  if (parameters != nullptr) rope.theta = TRY(json_number_or(*parameters, "rope_theta", rope.theta));
  const Json* scaling = parameters != nullptr ? parameters : json_find(config, "rope_scaling");
  if (scaling != nullptr) rope.scaling = TRY(read_scaling(*scaling));
  TRY(check_theta(rope.theta));
  return rope;
}

Result<RopeConfig> RopeConfig::from_gguf(const GgufFile& file, const std::string& architecture,
                                         int64_t head_dim) {
  RopeConfig rope;
  const auto key = [&](const char* name) { return architecture + ".rope." + name; };
  if (file.contains(key("freq_base"))) rope.theta = TRY(file.get_number(key("freq_base")));
  TRY(check_theta(rope.theta));
  if (file.contains(key("dimension_count")) && TRY(file.get_int(key("dimension_count"))) != head_dim) {
    return fail(ErrorCode::kUnsupported, "'{}' other than the head's width is not supported",
                key("dimension_count"));
  }
  if (file.contains(key("scaling.type"))) {
    const std::string type = TRY(file.get_string(key("scaling.type")));
    if (type != "none")
      return fail(ErrorCode::kUnsupported, "'{}': '{}' is not supported", key("scaling.type"), type);
  }
  const auto factors = file.tensors().find("rope_freqs.weight");
  if (factors == file.tensors().end()) return rope;
  const GgufTensor& t = factors->second;
  if (t.type != GgmlType::kF32 || t.shape != std::vector<int64_t>{head_dim / 2})
    return fail(ErrorCode::kParse, "tensor 'rope_freqs.weight' must be f32 with {} numbers", head_dim / 2);
  rope.freq_factors.resize(static_cast<size_t>(head_dim / 2));
  to_f32(DType::kF32, t.bytes.data(), head_dim / 2, rope.freq_factors.data());
  for (const float factor : rope.freq_factors) {
    if (!(factor > 0))
      return fail(ErrorCode::kParse, "tensor 'rope_freqs.weight' must hold positive numbers");
  }
  return rope;
}

void RopeConfig::write(JsonObject& json) const {
  json["rope_theta"] = theta;
  json["rope_scaling"] = nullptr;
  if (!scaling) return;
  json["rope_scaling"] = {{"rope_type", "llama3"},
                          {"factor", scaling->factor},
                          {"low_freq_factor", scaling->low_freq_factor},
                          {"high_freq_factor", scaling->high_freq_factor},
                          {"original_max_position_embeddings", scaling->original_max_position_embeddings}};
}

std::vector<float> RopeConfig::inv_freq(int64_t head_dim) const {
  std::vector<float> inv_freq;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    double freq = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    if (scaling) freq = scaled(freq, *scaling);
    if (!freq_factors.empty()) freq /= static_cast<double>(freq_factors[static_cast<size_t>(i)]);
    inv_freq.push_back(static_cast<float>(freq));
  }
  return inv_freq;
}

std::vector<float> RopeConfig::factors(int64_t head_dim) const {
  if (!scaling && freq_factors.empty()) return {};
  const std::vector<float> base = RopeConfig{.theta = theta, .scaling = {}, .freq_factors = {}}.inv_freq(
                               head_dim),
                           used = inv_freq(head_dim);
  std::vector<float> factors(base.size());
  for (size_t i = 0; i < base.size(); ++i) factors[i] = base[i] / used[i];
  return factors;
}

}  // namespace volant
