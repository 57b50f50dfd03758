#include "train/adapter_job.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "data/job_words.h"
#include "train/job_fields.h"

namespace volant {
namespace {

constexpr size_t kMaxPatterns = 10000;

std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    if (dot > 0) parts.push_back(name.substr(0, dot));
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return parts;
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || n < 0) return std::nullopt;
  return n;
}

bool part_matches(std::string_view pattern, std::string_view part) {
  if (pattern == "*" || pattern == part) return true;
  const size_t dash = pattern.find('-');
  if (dash == std::string_view::npos) return false;
  const auto low = whole_number(pattern.substr(0, dash)), high = whole_number(pattern.substr(dash + 1)),
             n = whole_number(part);
  return low && high && n && *n >= *low && *n <= *high;
}

Result<std::vector<std::string>> read_names(const Json& json, std::string_view key) {
  std::vector<std::string> names;
  const Json* list = json_find(json, key);
  if (list == nullptr) return names;
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalidArgument, "'{}': expected a list of names that are not empty", key);
  };
  if (!list->is_array() || list->as_array().empty() || list->as_array().size() > kMaxPatterns) return wrong();
  for (const Json& name : list->as_array()) {
    if (!name.is_string() || parts_of(name.as_string()).empty()) return wrong();
    names.emplace_back(name.as_string());
  }
  return names;
}

Status read_adapter_fields(const Json& json, AdapterJob& job) {
  static const std::array<std::string, 8> kKeys = {"alpha", "base_bits", "dropout", "in_8_bits",
                                                   "kind",  "r",         "start",   "target_modules"};
  TRY(check_keys(json.as_object(), kKeys, " in 'adapter'"));
  AdapterSpec spec;
  std::string kind = "lora";
  TRY(read_word(json, "kind", job_words("adapter.kind"), kind));
  spec.kind = kind == "dora"     ? AdapterSpec::Kind::kDora
              : kind == "rslora" ? AdapterSpec::Kind::kRsLora
                                 : AdapterSpec::Kind::kLora;
  TRY(read_int(json, "r", 1, kMaxAdapterRank, spec.r));
  TRY(read_number(json, "alpha", 1e-6, 1e6, spec.alpha));
  TRY(read_number(json, "dropout", 0, 0.99, spec.dropout));
  if (const Json* targets = json_find(json, "target_modules");
      targets != nullptr && !(targets->is_string() && targets->as_string() == "all-linear"))
    spec.target_modules = TRY(read_names(json, "target_modules"));
  int64_t bits = job.base_bits;
  TRY(read_int(json, "base_bits", 4, 32, bits));
  if (bits != 32 && bits != 16 && bits != 8 && bits != 4)
    return fail(ErrorCode::kInvalidArgument, "'base_bits': expected 32, 16, 8 or 4, got {}", bits);
  job.base_bits = static_cast<int>(bits);
  job.in_8_bits = TRY(read_names(json, "in_8_bits"));
  if (!job.in_8_bits.empty() && bits != 4)
    return fail(ErrorCode::kInvalidArgument, "'in_8_bits': of use with 'base_bits' 4 alone, got {}", bits);
  std::string start = "nothing";
  TRY(read_word(json, "start", job_words("adapter.start"), start));
  job.start_from_rounding = start == "rounding";
  if (job.start_from_rounding && (kind != "lora" || bits == 32))
    return fail(ErrorCode::kInvalidArgument,
                "'start': \"rounding\" needs 'kind' \"lora\" and 'base_bits' below 32, got \"{}\" and {}",
                kind, bits);
  job.adapter = std::move(spec);
  return {};
}

}  // namespace

Result<AdapterJob> parse_adapter_job(const Json& json) {
  AdapterJob job;
  job.freeze = TRY(read_names(json, "freeze"));
  job.train_only = TRY(read_names(json, "train_only"));
  if (!job.freeze.empty() && !job.train_only.empty())
    return fail(ErrorCode::kInvalidArgument, "expected either 'freeze' or 'train_only', got both");
  if (json_find(json, "adapter") == nullptr) return job;
  if (!job.freeze.empty() || !job.train_only.empty())
    return fail(ErrorCode::kInvalidArgument,
                "with 'adapter' the model's own tensors are all frozen: leave out 'freeze' and 'train_only'");
  TRY(read_adapter_fields(*TRY(object_of(json, "adapter")), job));
  return job;
}

bool matches_tensor(const std::string& pattern, const std::string& tensor_name) {
  const auto wanted = parts_of(pattern), parts = parts_of(tensor_name);
  return std::search(parts.begin(), parts.end(), wanted.begin(), wanted.end(),
                     [](std::string_view part, std::string_view word) { return part_matches(word, part); }) !=
         parts.end();
}

Status check_patterns(const AdapterJob& job, const ModelConfig& config) {
  const std::vector<TensorSpec> specs = tensor_specs(config);
  for (const auto& [key, patterns] :
       {std::pair("freeze", &job.freeze), std::pair("train_only", &job.train_only),
        std::pair("in_8_bits", &job.in_8_bits)})
    for (const std::string& pattern : *patterns)
      if (std::none_of(specs.begin(), specs.end(),
                       [&](const TensorSpec& spec) { return matches_tensor(pattern, spec.name); }))
        return fail(ErrorCode::kInvalidArgument, "'{}': no tensor of a {} matches '{}', as '{}' would", key,
                    config.architecture, pattern, specs.front().name);
  return {};
}

TorchOptions torch_options(const AdapterJob& job) {
  TorchOptions options;
  options.adapter = job.adapter;
  options.start_from_rounding = job.start_from_rounding;
  options.frozen_dtype = job.base_bits == 4    ? DType::kIQ4_NL
                         : job.base_bits == 8  ? DType::kQ8_0
                         : job.base_bits == 16 ? DType::kBF16
                                               : DType::kF32;
  if (!job.in_8_bits.empty())
    options.in_8_bits = [patterns = job.in_8_bits](const TensorSpec& spec) {
      return std::ranges::any_of(patterns, [&](const auto& p) { return matches_tensor(p, spec.name); });
    };
  if (job.freeze.empty() && job.train_only.empty()) return options;
  options.trains = [job](const TensorSpec& spec) {
    const auto matches = [&](const std::string& pattern) { return matches_tensor(pattern, spec.name); };
    return job.train_only.empty() ? std::none_of(job.freeze.begin(), job.freeze.end(), matches)
                                  : std::any_of(job.train_only.begin(), job.train_only.end(), matches);
  };
  return options;
}

}  // namespace volant
