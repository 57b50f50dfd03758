#include "models/family.h"

#include <array>

namespace volant {

std::span<const ModelFamily* const> model_families() {
  static constexpr std::array kFamilies = {
      &kBertFamily,    &kGemma2Family,  &kGemma3Family,   &kGpt2Family,     &kLlamaFamily,
      &kMistralFamily, &kMixtralFamily, &kQwen2MoeFamily, &kQwen3MoeFamily, &kPhi3Family,
      &kQwen2Family,   &kQwen3Family,   &kT5Family,       &kNetworkFamily};
  return kFamilies;
}

bool has_label_head(const ModelFamily& family, std::string_view architecture) {
  for (const std::string_view own : family.architectures) {
    constexpr std::string_view kNextToken = "ForCausalLM";  // as long as "LMHeadModel"
    if (!own.ends_with(kNextToken) && !own.ends_with("LMHeadModel")) continue;
    const size_t end = own.size() - kNextToken.size();
    if (!architecture.starts_with(own.substr(0, end))) continue;
    const std::string_view head = architecture.substr(end);
    if (head == "ForSequenceClassification" || head == "ForTokenClassification") return true;
  }
  return false;
}

Status check_range(const char* name, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return {};
  return fail(ErrorCode::kParse, "'{}' is {}, expected 1 to {}", name, value, most);
}

Status expect_bool(const Json& json, const char* name, bool value) {
  if (TRY(json_bool_or(json, name, value)) == value) return {};
  return fail(ErrorCode::kUnsupported, "'{}': {} is not supported", name, !value);
}

Status expect_word(const Json& json, const char* name, const char* value) {
  const std::string word = TRY(json_string_or(json, name, value));
  if (word == value) return {};
  return fail(ErrorCode::kUnsupported, "'{}': '{}' is not supported: supported is {}", name, word, value);
}

Status expect_absent(const Json& json, const char* name) {
  if (json_find(json, name) == nullptr) return {};
  return fail(ErrorCode::kUnsupported, "'{}' is not supported", name);
}

Result<double> read_eps(const Json& json, const char* name, double otherwise) {
  const double eps = TRY(json_number_or(json, name, otherwise));
  if (eps > 0 && eps < 1) return eps;
  return fail(ErrorCode::kParse, "'{}' is {}, expected more than 0 and less than 1", name, eps);
}

std::string gguf_name_of(const std::string& name, std::span<const GgufName> top,
                         std::span<const GgufName> layer, std::string_view layers_prefix) {
  for (const GgufName& pair : top)
    if (name == pair.hugging_face) return std::string(pair.gguf);
  if (!name.starts_with(layers_prefix)) return {};
  const size_t begin = layers_prefix.size(), dot = name.find('.', begin);
  if (dot == std::string::npos) return {};
  for (const GgufName& pair : layer)
    if (std::string_view(name).substr(dot + 1) == pair.hugging_face)
      return "blk." + name.substr(begin, dot - begin) + "." + std::string(pair.gguf);
  return {};
}

}  // namespace volant
