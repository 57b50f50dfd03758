#include "models/rope_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/dtype.h"

namespace volant {
namespace {

using Type = RopeScaling::Type;

constexpr double kYarnBetaFast = 32, kYarnBetaSlow = 1;  // of the paper; others are refused

Status check_theta(double theta) {
  if (theta > 0 && std::isfinite(theta)) return {};
  return fail(ErrorCode::kParse, "'rope_theta' is {}, expected a positive number", theta);
}

// Options of YaRN that change the numbers, at the values that they have unless they are named.
Status check_yarn_options(const Json& json) {
  for (const char* name : {"attention_factor", "mscale", "mscale_all_dim"})
    if (json_find(json, name) != nullptr)
      return fail(ErrorCode::kUnsupported, "rope scaling of type 'yarn': '{}' is not supported", name);
  if (TRY(json_number_or(json, "beta_fast", kYarnBetaFast)) != kYarnBetaFast ||
      TRY(json_number_or(json, "beta_slow", kYarnBetaSlow)) != kYarnBetaSlow)
    return fail(ErrorCode::kUnsupported,
                "rope scaling of type 'yarn': 'beta_fast' other than 32 and 'beta_slow' other than 1 are not "
                "supported");
  if (!TRY(json_bool_or(json, "truncate", true)))
    return fail(ErrorCode::kUnsupported, "rope scaling of type 'yarn': 'truncate' false is not supported");
  return {};
}

Status check_known_options(const Json& json) {
  constexpr const char* kKnown[] = {"rope_type",        "type",
                                    "rope_theta",       "partial_rotary_factor",
                                    "factor",           "low_freq_factor",
                                    "high_freq_factor", "original_max_position_embeddings",
                                    "attention_factor", "mscale",
                                    "mscale_all_dim",   "beta_fast",
                                    "beta_slow",        "truncate"};
  if (!json.is_object()) return fail(ErrorCode::kParse, "rope scaling: expected an object");
  for (const auto& field : json.as_object())
    if (std::ranges::find(kKnown, std::string_view(field.key())) == std::end(kKnown))
      return fail(ErrorCode::kUnsupported, "rope scaling: '{}' is not supported",
                  std::string_view(field.key()));
  return {};
}

// The llama3 rule: long waves are stretched by the factor, short ones stay, those between are blended.
double llama3_scaled(double freq, const RopeScaling& s) {
  const double wavelength = 2 * std::numbers::pi / freq;
  const auto context = static_cast<double>(s.original_max_position_embeddings);
  if (wavelength > context / s.low_freq_factor) return freq / s.factor;
  if (wavelength < context / s.high_freq_factor) return freq;
  const double smooth = (context / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * freq / s.factor + smooth * freq;
}

// YaRN's rule: between the dimensions that turn `kYarnBetaFast` and `kYarnBetaSlow` times over the trained
// context, the frequency goes from its own to that over the factor.
double yarn_scaled(double freq, const RopeScaling& s, int64_t i, int64_t n_turned, double theta) {
  const auto n = static_cast<double>(n_turned);
  const auto dimension = [&](double turns) {
    const auto context = static_cast<double>(s.original_max_position_embeddings);
    return n * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  const double low = std::max(0.0, std::floor(dimension(kYarnBetaFast))),
               high = std::min(n - 1, std::ceil(dimension(kYarnBetaSlow)));
  const double width = std::max(0.001, high - low);
  const double stretched = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
  return freq * (1 - stretched) + freq / s.factor * stretched;
}

double scaled(double freq, const RopeScaling& s, int64_t i, int64_t n_turned, double theta) {
  switch (s.type) {
    case Type::kLinear:
      return freq / s.factor;
    case Type::kLlama3:
      return llama3_scaled(freq, s);
    case Type::kYarn:
      return yarn_scaled(freq, s, i, n_turned, theta);
  }
  return freq;
}

Result<std::optional<RopeScaling>> read_gguf_scaling(const GgufFile& file, const std::string& prefix,
                                                     const std::string& context_key) {
  const auto key = [&](const char* name) { return prefix + "scaling." + name; };
  if (!file.contains(key("type"))) return std::optional<RopeScaling>();
  const std::string type = TRY(file.get_string(key("type")));
  if (type == "none") return std::optional<RopeScaling>();
  if (type != "linear" && type != "yarn")
    return fail(ErrorCode::kUnsupported, "'{}': '{}' is not supported: supported are none, linear, yarn",
                key("type"), type);
  for (const char* name : {"attn_factor", "yarn_log_multiplier", "yarn_ext_factor", "yarn_attn_factor",
                           "yarn_beta_fast", "yarn_beta_slow"})
    if (file.contains(key(name))) return fail(ErrorCode::kUnsupported, "'{}' is not supported", key(name));
  RopeScaling scaling{.type = type == "yarn" ? Type::kYarn : Type::kLinear,
                      .factor = TRY(file.get_number(key("factor")))};
  if (scaling.type == Type::kYarn) {
    const std::string original = key("original_context_length");
    scaling.original_max_position_embeddings =
        TRY(file.get_int(file.contains(original) ? original : context_key));
  }
  if (!(scaling.factor >= 1) || !std::isfinite(scaling.factor) ||
      (scaling.type == Type::kYarn && scaling.original_max_position_embeddings < 1))
    return fail(ErrorCode::kParse, "'{}': expected a factor of 1 or more", key("factor"));
  return std::optional<RopeScaling>(scaling);
}

}  // namespace

Result<std::optional<RopeScaling>> RopeConfig::read_scaling(const Json& rope, int64_t max_positions) {
  TRY(check_known_options(rope));
  std::string type = TRY(json_string_or(rope, "rope_type", ""));
  if (type.empty()) type = TRY(json_string_or(rope, "type", "default"));
  if (type == "default") return std::optional<RopeScaling>();
  RopeScaling scaling;
  if (type == "linear") {
    scaling.type = Type::kLinear;
  } else if (type == "llama3") {
    scaling.type = Type::kLlama3;
    scaling.low_freq_factor = TRY(json_number(rope, "low_freq_factor"));
    scaling.high_freq_factor = TRY(json_number(rope, "high_freq_factor"));
    scaling.original_max_position_embeddings = TRY(json_int(rope, "original_max_position_embeddings"));
  } else if (type == "yarn") {
    scaling.type = Type::kYarn;
    TRY(check_yarn_options(rope));
    scaling.original_max_position_embeddings =
        TRY(json_int_or(rope, "original_max_position_embeddings", max_positions));
  } else {
    return fail(ErrorCode::kUnsupported,
                "rope scaling of type '{}' is not supported: supported are default, linear, llama3, yarn",
                type);
  }
  scaling.factor = TRY(json_number(rope, "factor"));
  const bool has_context = scaling.type == Type::kLinear || scaling.original_max_position_embeddings >= 1;
  const bool is_ordered = scaling.low_freq_factor > 0 && scaling.high_freq_factor > scaling.low_freq_factor;
  if (!(scaling.factor >= 1) || !std::isfinite(scaling.factor) || !has_context || !is_ordered) {
    return fail(ErrorCode::kParse,
                "rope scaling: expected a factor of 1 or more, high_freq_factor above low_freq_factor, and "
                "original_max_position_embeddings of 1 or more");
  }
  return std::optional<RopeScaling>(scaling);
}

Result<RopeConfig> RopeConfig::from_json(const Json& config) {
  RopeConfig rope;
  // transformers 5 moved theta and scaling into "rope_parameters".
  const Json* parameters = json_find(config, "rope_parameters");
  rope.theta = TRY(json_number_or(config, "rope_theta", rope.theta));
  if (parameters != nullptr) rope.theta = TRY(json_number_or(*parameters, "rope_theta", rope.theta));
  const Json* scaling = parameters != nullptr ? parameters : json_find(config, "rope_scaling");
  const int64_t max_positions = TRY(json_int_or(config, "max_position_embeddings", 2048));
  if (scaling != nullptr) rope.scaling = TRY(read_scaling(*scaling, max_positions));
  TRY(check_theta(rope.theta));
  return rope;
}

Result<RopeConfig> RopeConfig::from_gguf(const GgufFile& file, const std::string& architecture,
                                         int64_t n_turned) {
  RopeConfig rope;
  const auto key = [&](const char* name) { return architecture + ".rope." + name; };
  if (file.contains(key("freq_base"))) rope.theta = TRY(file.get_number(key("freq_base")));
  TRY(check_theta(rope.theta));
  if (file.contains(key("dimension_count")) && TRY(file.get_int(key("dimension_count"))) != n_turned) {
    return fail(ErrorCode::kUnsupported, "'{}' other than {} is not supported", key("dimension_count"),
                n_turned);
  }
  if (file.contains(key("scale_linear")))
    return fail(ErrorCode::kUnsupported, "'{}' is not supported", key("scale_linear"));
  rope.scaling = TRY(read_gguf_scaling(file, key(""), architecture + ".context_length"));
  for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"})
    if (file.tensors().contains(name))
      return fail(ErrorCode::kUnsupported, "tensor '{}': rope scaling of type longrope is not supported",
                  name);
  const auto factors = file.tensors().find("rope_freqs.weight");
  if (factors == file.tensors().end()) return rope;
  const GgufTensor& t = factors->second;
  if (t.type != GgmlType::kF32 || t.shape != std::vector<int64_t>{n_turned / 2})
    return fail(ErrorCode::kParse, "tensor 'rope_freqs.weight' must be f32 with {} numbers", n_turned / 2);
  rope.freq_factors.resize(static_cast<size_t>(n_turned / 2));
  to_f32(DType::kF32, t.bytes.data(), n_turned / 2, rope.freq_factors.data());
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
  constexpr const char* kNames[] = {"linear", "llama3", "yarn"};
  JsonObject out{{"rope_type", kNames[static_cast<size_t>(scaling->type)]}, {"factor", scaling->factor}};
  if (scaling->type != Type::kLinear)
    out["original_max_position_embeddings"] = scaling->original_max_position_embeddings;
  if (scaling->type == Type::kLlama3) {
    out["low_freq_factor"] = scaling->low_freq_factor;
    out["high_freq_factor"] = scaling->high_freq_factor;
  }
  json["rope_scaling"] = std::move(out);
}

std::vector<GgufField> RopeConfig::gguf_fields(const std::string& architecture, int64_t n_turned) const {
  using Field = GgufField::Type;
  const auto key = [&](const char* name) { return architecture + ".rope." + name; };
  std::vector<GgufField> fields{{key("dimension_count"), Field::kU32, static_cast<uint64_t>(n_turned)},
                                {key("freq_base"), Field::kF32, theta}};
  if (!scaling || scaling->type == Type::kLlama3) return fields;
  const bool yarn = scaling->type == Type::kYarn;
  fields.push_back({key("scaling.type"), Field::kString, std::string(yarn ? "yarn" : "linear")});
  fields.push_back({key("scaling.factor"), Field::kF32, scaling->factor});
  if (yarn)
    fields.push_back({key("scaling.original_context_length"), Field::kU32,
                      static_cast<uint64_t>(scaling->original_max_position_embeddings)});
  return fields;
}

std::vector<float> RopeConfig::inv_freq(int64_t n_turned) const {
  std::vector<float> inv_freq;
  for (int64_t i = 0; i < n_turned / 2; ++i) {
    double freq = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(n_turned));
    if (scaling) freq = scaled(freq, *scaling, i, n_turned, theta);
    if (!freq_factors.empty()) freq /= static_cast<double>(freq_factors[static_cast<size_t>(i)]);
    inv_freq.push_back(static_cast<float>(freq));
  }
  return inv_freq;
}

float RopeConfig::turned_scale() const {
  const bool yarn = scaling && scaling->type == Type::kYarn;
  return yarn ? static_cast<float>(0.1 * std::log(scaling->factor) + 1) : 1.0F;
}

std::vector<float> RopeConfig::factors(int64_t n_turned) const {
  const bool as_tensor = scaling && scaling->type == Type::kLlama3;
  if (!as_tensor && freq_factors.empty()) return {};
  if (!as_tensor) return freq_factors;
  const std::vector<float> base = RopeConfig{.theta = theta, .scaling = {}, .freq_factors = {}}.inv_freq(
                               n_turned),
                           used = inv_freq(n_turned);
  std::vector<float> factors(base.size());
  for (size_t i = 0; i < base.size(); ++i) factors[i] = base[i] / used[i];
  return factors;
}

}  // namespace volant
