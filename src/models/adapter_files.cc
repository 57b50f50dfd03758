// PEFT's two files, read and written.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "io/safetensors.h"
#include "models/adapter.h"
#include "models/family.h"
#include "tensor/tensor_view.h"

namespace volant {
namespace {

constexpr const char *kConfigFile = "adapter_config.json", *kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";

// Fields that are read, and those that say nothing about what the tensors of the file mean.
constexpr std::array kRead = {"peft_type",     "r",        "lora_alpha",     "lora_dropout",
                              "use_rslora",    "use_dora", "target_modules", "base_model_name_or_path",
                              "fan_in_fan_out"};
constexpr std::array kHarmless = {"task_type",         "inference_mode",
                                  "auto_mapping",      "revision",
                                  "megatron_core",     "peft_version",
                                  "qalora_group_size", "layers_to_transform",
                                  "layers_pattern",    "exclude_modules",
                                  "runtime_config",    "loftq_config",
                                  "init_lora_weights", "bias"};

bool is_one_of(std::string_view word, std::span<const char* const> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool says_nothing(const Json& value) {
  if (value.is_null() || (value.is_bool() && !value.as_bool())) return true;
  if (value.is_array()) return value.as_array().empty();
  return value.is_object() && value.as_object().empty();
}

// PiSSA and its like change the base model too: such an adapter alone is another model.
Status check_initial_weights(const Json& json) {
  const Json* how = json_find(json, "init_lora_weights");
  if (how == nullptr || how->is_bool() || (how->is_string() && how->as_string() == "gaussian")) return {};
  return fail(
      ErrorCode::kUnsupported,
      "'init_lora_weights': expected true, false or \"gaussian\", got {}; such an adapter changes its "
      "base model: convert it with PEFT first",
      dump_json(*how));
}

Status check_options(const Json& json) {
  for (const auto& field : json.as_object()) {
    const std::string_view key(field.key().data(), field.key().size());
    if (is_one_of(key, kRead) || is_one_of(key, kHarmless) || says_nothing(field.value())) continue;
    return fail(ErrorCode::kUnsupported, "adapters with '{}': {} are not done here", key,
                dump_json(field.value()));
  }
  const std::string biases = TRY(json_string_or(json, "bias", "none"));
  if (biases != "none")
    return fail(ErrorCode::kUnsupported, "adapters with 'bias': \"{}\" are not done here, expected \"none\"",
                biases);
  return check_initial_weights(json);
}

Result<std::vector<std::string>> read_targets(const Json& json) {
  const Json* targets = json_find(json, "target_modules");
  if (targets == nullptr) return fail(ErrorCode::kParse, "expected 'target_modules'");
  if (targets->is_string()) return std::vector<std::string>{std::string(targets->as_string())};
  std::vector<std::string> names;
  if (targets->is_array())
    for (const Json& each : targets->as_array())
      if (each.is_string()) names.emplace_back(each.as_string());
  if (names.empty()) return fail(ErrorCode::kParse, "'target_modules': expected names of modules");
  std::sort(names.begin(), names.end());
  return names;
}

Result<Adapter> read_config(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected a JSON object");
  const std::string type = TRY(json_string(json, "peft_type"));
  if (type != "LORA")
    return fail(ErrorCode::kUnsupported, "adapters of type '{}' are not done here, expected LORA", type);
  TRY(check_options(json));
  Adapter adapter;
  AdapterSpec& spec = adapter.spec;
  const bool rslora = TRY(json_bool_or(json, "use_rslora", false)),
             dora = TRY(json_bool_or(json, "use_dora", false));
  if (rslora && dora) return fail(ErrorCode::kUnsupported, "'use_dora' with 'use_rslora' is not done here");
  spec.kind = dora     ? AdapterSpec::Kind::kDora
              : rslora ? AdapterSpec::Kind::kRsLora
                       : AdapterSpec::Kind::kLora;
  spec.r = TRY(json_int_or(json, "r", 8));
  spec.alpha = TRY(json_number_or(json, "lora_alpha", 8));
  spec.dropout = TRY(json_number_or(json, "lora_dropout", 0));
  if (spec.r < 1 || spec.r > kMaxAdapterRank)
    return fail(ErrorCode::kParse, "'r': expected 1 to {}, got {}", kMaxAdapterRank, spec.r);
  if (!std::isfinite(spec.alpha)) return fail(ErrorCode::kParse, "'lora_alpha': expected a number");
  spec.target_modules = TRY(read_targets(json));
  adapter.base_model = TRY(json_string_or(json, "base_model_name_or_path", ""));
  return adapter;
}

// "<module>.lora_A.default.weight" apart: the module, and which part; the adapter's name is left out.
struct FactorName {
  std::string module;
  enum class Part { kA, kB, kMagnitude } part = Part::kA;
};
Result<FactorName> parse_name(std::string_view name) {
  const auto unknown = [&] {
    return fail(ErrorCode::kUnsupported,
                "tensor '{}': expected lora_A, lora_B or lora_magnitude_vector of a module", name);
  };
  std::string_view rest = name;
  if (!rest.starts_with(kPrefix)) return unknown();
  rest.remove_prefix(kPrefix.size());
  static constexpr std::pair<std::string_view, FactorName::Part> kParts[] = {
      {".lora_A", FactorName::Part::kA},
      {".lora_B", FactorName::Part::kB},
      {".lora_magnitude_vector", FactorName::Part::kMagnitude}};
  for (const auto& [word, part] : kParts) {
    const size_t at = rest.rfind(word);
    if (at == std::string_view::npos) continue;
    const std::string_view tail = rest.substr(at + word.size());
    const bool whole = part == FactorName::Part::kMagnitude && tail.empty();
    if (whole || tail == ".weight" || tail == ".default.weight" ||
        (part == FactorName::Part::kMagnitude && tail == ".default"))
      return FactorName{std::string(rest.substr(0, at)), part};
  }
  return unknown();
}

// The matrices of the model that may carry factors, by name.
using Matrices = std::map<std::string, TensorSpec>;

Result<const TensorSpec*> matrix_of(const Matrices& matrices, const ModelConfig& config,
                                    const std::string& module) {
  const std::string name = module + ".weight";
  auto found = matrices.find(name);
  if (found == matrices.end() && config.family->canonical_name != nullptr)
    found = matrices.find(config.family->canonical_name(name));
  if (found == matrices.end())
    return fail(ErrorCode::kParse, "module '{}' is no linear layer of this {}", module, config.architecture);
  return &found->second;
}

Status take_tensor(const std::string& name, const SafetensorsEntry& entry, const Matrices& matrices,
                   const ModelConfig& config, Adapter& adapter) {
  const FactorName factor = TRY(parse_name(name));
  const TensorSpec& matrix = *TRY(matrix_of(matrices, config, factor.module));
  const int64_t n_out = matrix.shape[0], n_in = matrix.shape[1], r = adapter.spec.r;
  AdapterFactors& factors = adapter.factors[matrix.name];
  std::vector<int64_t> shape;
  std::vector<float>* numbers = nullptr;
  switch (factor.part) {
    case FactorName::Part::kA:
      shape = {r, n_in}, numbers = &factors.a_rI;
      break;
    case FactorName::Part::kB:
      shape = {n_out, r}, numbers = &factors.b_Or;
      break;
    case FactorName::Part::kMagnitude:
      shape = {n_out}, numbers = &factors.magnitude_O;
      break;
  }
  const bool turned_magnitude =
      factor.part == FactorName::Part::kMagnitude && entry.shape == std::vector<int64_t>{1, n_out};
  if (entry.shape != shape && !turned_magnitude)
    return fail(ErrorCode::kParse, "tensor '{}': expected {} numbers{}, got another shape", name,
                shape.size() == 2 ? fmt::format("{} x {}", shape[0], shape[1]) : std::to_string(n_out),
                r == adapter.spec.r ? fmt::format(" for rank {}", r) : "");
  const DType dtype = TRY(dtype_from_safetensors(entry.dtype));
  if (dtype == DType::kI32)
    return fail(ErrorCode::kParse, "tensor '{}': type {} is no weight", name, entry.dtype);
  *numbers = to_f32(TensorView{dtype, shape, entry.bytes});
  for (const float x : *numbers)
    if (!std::isfinite(x)) return fail(ErrorCode::kParse, "tensor '{}' holds what is no number", name);
  return {};
}

Result<Adapter> read(const Path& folder, const ModelConfig& config) {
  Adapter adapter = TRY(read_config(TRY(parse_json(TRY(read_file(folder / kConfigFile))))));
  Matrices matrices;
  for (const TensorSpec& tensor : tensor_specs(config))
    if (tensor.role == TensorRole::kMatrix && tensor.shape.size() == 2) matrices.emplace(tensor.name, tensor);
  const SafetensorsFile file = TRY(SafetensorsFile::open(folder / kWeightsFile));
  for (const auto& [name, entry] : file.tensors()) TRY(take_tensor(name, entry, matrices, config, adapter));
  if (adapter.factors.empty()) return fail(ErrorCode::kParse, "the adapter has no factors");
  const bool dora = adapter.spec.kind == AdapterSpec::Kind::kDora;
  for (const auto& [name, factors] : adapter.factors)
    if (factors.a_rI.empty() || factors.b_Or.empty() || factors.magnitude_O.empty() == dora)
      return fail(ErrorCode::kParse, "'{}': expected lora_A and lora_B{} lora_magnitude_vector", name,
                  dora ? " and" : " without");
  return adapter;
}

// The last parts of the modules' names, as PEFT writes "all-linear".
JsonArray target_names(const Adapter& adapter) {
  std::set<std::string> names;
  if (adapter.spec.target_modules != std::vector<std::string>{"all-linear"}) {
    names.insert(adapter.spec.target_modules.begin(), adapter.spec.target_modules.end());
  } else {
    for (const auto& [name, factors] : adapter.factors) {
      const std::string module = name.substr(0, name.rfind('.'));
      names.insert(module.substr(module.rfind('.') + 1));
    }
  }
  return JsonArray(names.begin(), names.end());
}

const char* task_of(const ModelConfig& config) {
  switch (config.output) {
    case ModelOutput::kNextToken:
      return "CAUSAL_LM";
    case ModelOutput::kLabels:
      return "SEQ_CLS";
    case ModelOutput::kHidden:
      break;
  }
  return "FEATURE_EXTRACTION";
}

Json config_json(const Adapter& adapter, const ModelConfig& config) {
  const AdapterSpec& spec = adapter.spec;
  const auto specs = tensor_specs(config);
  const bool turned = std::any_of(specs.begin(), specs.end(), [&](const TensorSpec& tensor) {
    return tensor.transposed && adapter.factors.contains(tensor.name);
  });
  const bool whole_alpha = spec.alpha == std::floor(spec.alpha) && std::abs(spec.alpha) < 1e9;
  return JsonObject{{"peft_type", "LORA"},
                    {"task_type", task_of(config)},
                    {"base_model_name_or_path", adapter.base_model},
                    {"inference_mode", true},
                    {"r", spec.r},
                    {"lora_alpha", whole_alpha ? Json(static_cast<int64_t>(spec.alpha)) : Json(spec.alpha)},
                    {"lora_dropout", spec.dropout},
                    {"use_rslora", spec.kind == AdapterSpec::Kind::kRsLora},
                    {"use_dora", spec.kind == AdapterSpec::Kind::kDora},
                    {"target_modules", target_names(adapter)},
                    {"fan_in_fan_out", turned},
                    {"bias", "none"},
                    {"init_lora_weights", true},
                    {"modules_to_save", nullptr},
                    {"layers_to_transform", nullptr},
                    {"layers_pattern", nullptr},
                    {"rank_pattern", JsonObject()},
                    {"alpha_pattern", JsonObject()},
                    {"revision", nullptr}};
}

Status write_files(const Path& folder, const Adapter& adapter, const ModelConfig& config) {
  std::map<std::string, SafetensorsEntry> tensors;
  for (const auto& [name, factors] : adapter.factors) {
    const auto r = adapter.spec.r;
    const auto bytes = [](const std::vector<float>& numbers) {
      return std::as_bytes(std::span<const float>(numbers));
    };
    tensors[peft_name(name, "lora_A.weight")] = {
        "F32", {r, static_cast<int64_t>(factors.a_rI.size()) / r}, bytes(factors.a_rI)};
    tensors[peft_name(name, "lora_B.weight")] = {
        "F32", {static_cast<int64_t>(factors.b_Or.size()) / r, r}, bytes(factors.b_Or)};
    if (!factors.magnitude_O.empty())
      tensors[peft_name(name, "lora_magnitude_vector")] = {
          "F32", {static_cast<int64_t>(factors.magnitude_O.size())}, bytes(factors.magnitude_O)};
  }
  TRY(make_dirs(folder));
  TRY(write_file_atomic(folder / kConfigFile, dump_json_pretty(config_json(adapter, config))));
  return write_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
}

}  // namespace

Result<Adapter> read_adapter(const Path& folder, const ModelConfig& config) {
  auto adapter = read(folder, config);
  if (!adapter) return std::move(adapter).error().at(folder.string());
  return adapter;
}

Status write_adapter(const Path& folder, const Adapter& adapter, const ModelConfig& config) {
  const Path aside = partial_path(folder);
  const auto write = [&]() -> Status {
    TRY(write_files(aside, adapter, config));
    TRY(volant::remove_all(folder));
    return rename_into_place(aside, folder);
  };
  Status done = write();
  if (!done) (void)volant::remove_all(aside);
  return done;
}

}  // namespace volant
