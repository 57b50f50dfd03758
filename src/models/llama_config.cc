#include "models/llama_config.h"

#include <array>
#include <cmath>
#include <numbers>

#include "tensor/dtype.h"

namespace volant {
namespace {

// Limits that keep every product of two sizes far from overflow; the largest published Llama is well inside.
constexpr int64_t kMaxVocab = 1 << 22, kMaxWidth = 1 << 17, kMaxLayers = 1024, kMaxHeads = 1024;
constexpr int64_t kMaxHeadDim = 256, kMaxContext = 1 << 22;

Status check_range(const char* name, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return {};
  return fail(ErrorCode::kParse, "'{}' is {}, expected 1 to {}", name, value, most);
}

Status check(const LlamaConfig& c) {
  TRY(check_range("vocab_size", c.vocab_size, kMaxVocab));
  TRY(check_range("hidden_size", c.hidden_size, kMaxWidth));
  TRY(check_range("intermediate_size", c.intermediate_size, kMaxWidth));
  TRY(check_range("num_hidden_layers", c.num_hidden_layers, kMaxLayers));
  TRY(check_range("num_attention_heads", c.num_attention_heads, kMaxHeads));
  TRY(check_range("num_key_value_heads", c.num_key_value_heads, kMaxHeads));
  TRY(check_range("head_dim", c.head_dim, kMaxHeadDim));
  TRY(check_range("max_position_embeddings", c.max_position_embeddings, kMaxContext));
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    return fail(ErrorCode::kParse,
                "'num_attention_heads' is {}, expected a multiple of 'num_key_value_heads', {}",
                c.num_attention_heads, c.num_key_value_heads);
  }
  if (c.head_dim % 2 != 0)
    return fail(ErrorCode::kParse, "'head_dim' is {}, expected an even number", c.head_dim);
  if (!(c.rms_norm_eps > 0 && c.rms_norm_eps < 1)) {
    return fail(ErrorCode::kParse, "'rms_norm_eps' is {}, expected more than 0 and less than 1",
                c.rms_norm_eps);
  }
  if (!(c.rope_theta > 0 && std::isfinite(c.rope_theta))) {
    return fail(ErrorCode::kParse, "'rope_theta' is {}, expected a positive number", c.rope_theta);
  }
  return {};
}

Status check_architecture(const Json& config) {
  std::string architecture;
  if (const Json* list = json_find(config, "architectures"); list != nullptr) {
    if (!list->is_array() || list->as_array().size() != 1 || !list->as_array()[0].is_string()) {
      return fail(ErrorCode::kParse, "'architectures' must be a list of one name");
    }
    architecture = std::string(list->as_array()[0].as_string());
  } else if (TRY(json_string_or(config, "model_type", "")) == "llama") {
    architecture = "LlamaForCausalLM";
  }
  if (architecture != "LlamaForCausalLM") {
    return fail(ErrorCode::kUnsupported, "{} is not supported: supported are LlamaForCausalLM",
                architecture.empty() ? "a model that names no architecture" : architecture);
  }
  return {};
}

// Options that would change the arithmetic and are not done.
Status check_options(const Json& config) {
  for (const char* name : {"attention_bias", "mlp_bias"}) {
    if (TRY(json_bool_or(config, name, false))) {
      return fail(ErrorCode::kUnsupported, "'{}': true is not supported", name);
    }
  }
  const std::string act = TRY(json_string_or(config, "hidden_act", "silu"));
  if (act != "silu")
    return fail(ErrorCode::kUnsupported, "'hidden_act': '{}' is not supported: supported is silu", act);
  for (const char* name : {"sliding_window", "quantization_config"}) {
    if (json_find(config, name) != nullptr)
      return fail(ErrorCode::kUnsupported, "'{}' is not supported", name);
  }
  if (TRY(json_number_or(config, "partial_rotary_factor", 1)) != 1) {
    return fail(ErrorCode::kUnsupported, "'partial_rotary_factor' other than 1 is not supported");
  }
  return {};
}

Result<std::optional<Llama3RopeScaling>> read_rope_scaling(const Json& rope) {
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

Result<std::vector<int64_t>> read_ids(const Json& config, const char* name) {
  std::vector<int64_t> ids;
  const Json* value = json_find(config, name);
  if (value == nullptr) return ids;
  if (value->is_int64()) return std::vector<int64_t>{value->as_int64()};
  if (!value->is_array()) return fail(ErrorCode::kParse, "'{}' must be an id or a list of ids", name);
  for (const Json& id : value->as_array()) {
    if (!id.is_int64()) return fail(ErrorCode::kParse, "'{}' must hold whole numbers", name);
    ids.push_back(id.as_int64());
  }
  return ids;
}

}  // namespace

Result<LlamaConfig> LlamaConfig::from_json(const Json& config) {
  if (!config.is_object())
    return fail(ErrorCode::kParse, "expected a JSON object with the fields of a model");
  TRY(check_architecture(config));
  TRY(check_options(config));
  LlamaConfig c;
  c.vocab_size = TRY(json_int(config, "vocab_size"));
  c.hidden_size = TRY(json_int(config, "hidden_size"));
  c.intermediate_size = TRY(json_int(config, "intermediate_size"));
  c.num_hidden_layers = TRY(json_int(config, "num_hidden_layers"));
  c.num_attention_heads = TRY(json_int(config, "num_attention_heads"));
  TRY(check_range("num_attention_heads", c.num_attention_heads, kMaxHeads));
  c.num_key_value_heads = TRY(json_int_or(config, "num_key_value_heads", c.num_attention_heads));
  c.head_dim = TRY(json_int_or(config, "head_dim", c.hidden_size / c.num_attention_heads));
  c.max_position_embeddings = TRY(json_int_or(config, "max_position_embeddings", 2048));
  c.rms_norm_eps = TRY(json_number_or(config, "rms_norm_eps", 1e-6));
  c.initializer_range = TRY(json_number_or(config, "initializer_range", 0.02));
  c.tie_word_embeddings = TRY(json_bool_or(config, "tie_word_embeddings", false));
  // transformers 5 moved theta and scaling into "rope_parameters".
  const Json* parameters = json_find(config, "rope_parameters");
  c.rope_theta = TRY(json_number_or(config, "rope_theta", 10000));
  if (parameters != nullptr) c.rope_theta = TRY(json_number_or(*parameters, "rope_theta", c.rope_theta));
  const Json* scaling = parameters != nullptr ? parameters : json_find(config, "rope_scaling");
  if (scaling != nullptr) c.rope_scaling = TRY(read_rope_scaling(*scaling));
  const std::vector<int64_t> bos = TRY(read_ids(config, "bos_token_id"));
  if (!bos.empty()) c.bos_token_id = bos.front();
  c.eos_token_ids = TRY(read_ids(config, "eos_token_id"));
  TRY(check(c));
  return c;
}

Result<LlamaConfig> LlamaConfig::from_gguf(const GgufFile& file) {
  const std::string architecture = TRY(file.get_string("general.architecture"));
  if (architecture != "llama") {
    return fail(ErrorCode::kUnsupported, "architecture '{}' is not supported: supported are llama",
                architecture);
  }
  const auto int_or = [&](const char* key, int64_t other) -> Result<int64_t> {
    return file.contains(key) ? file.get_int(key) : Result<int64_t>(other);
  };
  const auto number_or = [&](const char* key, double other) -> Result<double> {
    return file.contains(key) ? file.get_number(key) : Result<double>(other);
  };
  LlamaConfig c;
  c.hidden_size = TRY(file.get_int("llama.embedding_length"));
  c.num_hidden_layers = TRY(file.get_int("llama.block_count"));
  c.intermediate_size = TRY(file.get_int("llama.feed_forward_length"));
  c.num_attention_heads = TRY(file.get_int("llama.attention.head_count"));
  TRY(check_range("llama.attention.head_count", c.num_attention_heads, kMaxHeads));
  c.num_key_value_heads = TRY(int_or("llama.attention.head_count_kv", c.num_attention_heads));
  c.head_dim = TRY(int_or("llama.attention.key_length", c.hidden_size / c.num_attention_heads));
  c.max_position_embeddings = TRY(file.get_int("llama.context_length"));
  c.rms_norm_eps = TRY(file.get_number("llama.attention.layer_norm_rms_epsilon"));
  c.rope_theta = TRY(number_or("llama.rope.freq_base", 10000));
  if (TRY(int_or("llama.rope.dimension_count", c.head_dim)) != c.head_dim) {
    return fail(ErrorCode::kUnsupported,
                "'llama.rope.dimension_count' other than the head's width is not supported");
  }
  if (TRY(int_or("llama.expert_count", 0)) != 0) {
    return fail(ErrorCode::kUnsupported, "'llama.expert_count': experts are not supported");
  }
  if (file.contains("llama.rope.scaling.type")) {
    const std::string type = TRY(file.get_string("llama.rope.scaling.type"));
    if (type != "none")
      return fail(ErrorCode::kUnsupported, "'llama.rope.scaling.type': '{}' is not supported", type);
  }
  const auto embed = file.tensors().find("token_embd.weight");
  if (embed == file.tensors().end() || embed->second.shape.size() != 2) {
    return fail(ErrorCode::kParse, "tensor 'token_embd.weight' with two dimensions is missing");
  }
  c.vocab_size = embed->second.shape[0];
  c.tie_word_embeddings = !file.tensors().contains("output.weight");
  TRY(check(c));
  if (const auto factors = file.tensors().find("rope_freqs.weight"); factors != file.tensors().end()) {
    const GgufTensor& t = factors->second;
    if (t.type != GgmlType::kF32 || t.shape != std::vector<int64_t>{c.head_dim / 2}) {
      return fail(ErrorCode::kParse, "tensor 'rope_freqs.weight' must be f32 with {} numbers",
                  c.head_dim / 2);
    }
    c.rope_freq_factors.resize(static_cast<size_t>(c.head_dim / 2));
    to_f32(DType::kF32, t.bytes.data(), c.head_dim / 2, c.rope_freq_factors.data());
    for (const float factor : c.rope_freq_factors) {
      if (!(factor > 0))
        return fail(ErrorCode::kParse, "tensor 'rope_freqs.weight' must hold positive numbers");
    }
  }
  if (file.contains("tokenizer.ggml.bos_token_id"))
    c.bos_token_id = TRY(file.get_int("tokenizer.ggml.bos_token_id"));
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (file.contains(key)) c.eos_token_ids.push_back(TRY(file.get_int(key)));
  }
  return c;
}

Json LlamaConfig::to_json() const {
  JsonObject json{{"architectures", {"LlamaForCausalLM"}},
                  {"model_type", "llama"},
                  {"vocab_size", vocab_size},
                  {"hidden_size", hidden_size},
                  {"intermediate_size", intermediate_size},
                  {"num_hidden_layers", num_hidden_layers},
                  {"num_attention_heads", num_attention_heads},
                  {"num_key_value_heads", num_key_value_heads},
                  {"head_dim", head_dim},
                  {"max_position_embeddings", max_position_embeddings},
                  {"hidden_act", "silu"},
                  {"attention_bias", false},
                  {"mlp_bias", false},
                  {"rms_norm_eps", rms_norm_eps},
                  {"rope_theta", rope_theta},
                  {"rope_scaling", nullptr},
                  {"initializer_range", initializer_range},
                  {"tie_word_embeddings", tie_word_embeddings}};
  if (rope_scaling) {
    json["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", rope_scaling->factor},
        {"low_freq_factor", rope_scaling->low_freq_factor},
        {"high_freq_factor", rope_scaling->high_freq_factor},
        {"original_max_position_embeddings", rope_scaling->original_max_position_embeddings}};
  }
  if (bos_token_id) json["bos_token_id"] = *bos_token_id;
  if (eos_token_ids.size() == 1) {
    json["eos_token_id"] = eos_token_ids[0];
  } else if (!eos_token_ids.empty()) {
    json["eos_token_id"] = JsonArray(eos_token_ids.begin(), eos_token_ids.end());
  }
  return json;
}

int64_t LlamaConfig::n_parameters() const {
  const int64_t q = num_attention_heads * head_dim, kv = num_key_value_heads * head_dim;
  const int64_t layer = hidden_size * (2 * q + 2 * kv + 3 * intermediate_size + 2);
  return vocab_size * hidden_size * (tie_word_embeddings ? 1 : 2) + num_hidden_layers * layer + hidden_size;
}

// The llama3 rule (as in transformers' _compute_llama3_parameters): long waves are stretched by the factor,
// short ones stay, those between are blended.
std::vector<float> LlamaConfig::rope_inv_freq() const {
  std::vector<float> inv_freq;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    double freq = std::pow(rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    if (rope_scaling) {
      const Llama3RopeScaling& s = *rope_scaling;
      const double wavelength = 2 * std::numbers::pi / freq;
      const auto context = static_cast<double>(s.original_max_position_embeddings);
      if (wavelength > context / s.low_freq_factor) {
        freq /= s.factor;
      } else if (wavelength >= context / s.high_freq_factor) {
        const double smooth =
            (context / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
        freq = (1 - smooth) * freq / s.factor + smooth * freq;
      }
    }
    if (!rope_freq_factors.empty()) freq /= static_cast<double>(rope_freq_factors[static_cast<size_t>(i)]);
    inv_freq.push_back(static_cast<float>(freq));
  }
  return inv_freq;
}

}  // namespace volant
