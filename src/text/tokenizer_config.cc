#include "text/tokenizer_config.h"

#include <array>
#include <charconv>

namespace volant {
namespace {

Result<JsonObject> load_object(const Path& path) {
  if (!std::filesystem::exists(path)) return JsonObject{};
  const std::string text = TRY(read_file(path));
  Result<Json> json = parse_json(text);
  if (!json) return std::move(json).error().at(path.string());
  if (!json->is_object()) return fail(ErrorCode::kParse, "expected a JSON object").at(path.string());
  return json->get_object();
}

// "<s>", {"content": "<s>", ...}, null.
std::optional<std::string> token_content(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || !value->is_string() || value->get_string().empty()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<bool> flag(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value != nullptr && value->is_bool() ? std::optional<bool>(value->get_bool()) : std::nullopt;
}

Result<std::vector<AddedToken>> added_tokens(const JsonObject& config, const JsonObject& extra) {
  std::vector<AddedToken> added;
  if (const Json* decoder = config.if_contains("added_tokens_decoder");
      decoder != nullptr && decoder->is_object()) {
    for (const auto& [key, row] : decoder->get_object()) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0)
        return fail(ErrorCode::kParse, "expected ids as keys of added_tokens_decoder, got '{}'",
                    std::string_view(key));
      added.push_back(TRY(parse_added_token(row, id)));
    }
  }
  for (const auto& [content, id] : extra) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > INT32_MAX)
      return fail(ErrorCode::kParse, "expected an id for '{}' in added_tokens.json",
                  std::string_view(content));
    const auto number = static_cast<int32_t>(id.get_int64());
    bool known = false;
    for (const AddedToken& token : added) known = known || token.id == number;
    if (!known && !content.empty())
      added.push_back({number, std::string(content), false, false, false, false, true});
  }
  return added;
}

}  // namespace

Result<TokenizerConfig> load_tokenizer_config(const Path& folder) {
  TokenizerConfig config;
  config.json = TRY(load_object(folder / "tokenizer_config.json"));
  const JsonObject map = TRY(load_object(folder / "special_tokens_map.json"));
  const JsonObject extra = TRY(load_object(folder / "added_tokens.json"));
  const auto token = [&](std::string_view key) {
    return config.json.contains(key) ? token_content(config.json, key) : token_content(map, key);
  };
  config.bos = token("bos_token");
  config.eos = token("eos_token");
  config.unk = token("unk_token");
  config.pad = token("pad_token");
  config.add_bos = flag(config.json, "add_bos_token");
  config.add_eos = flag(config.json, "add_eos_token");
  config.legacy = flag(config.json, "legacy");
  config.add_prefix_space = flag(config.json, "add_prefix_space");
  if (const Json* name = config.json.if_contains("tokenizer_class"); name != nullptr && name->is_string())
    config.tokenizer_class = name->get_string();
  Result<std::vector<AddedToken>> added = added_tokens(config.json, extra);
  if (!added) return std::move(added).error().at((folder / "tokenizer_config.json").string());
  config.added = std::move(*added);
  return config;
}

Status copy_tokenizer_files(const Path& from, const Path& to) {
  static constexpr std::array kNames = {
      "tokenizer.model",   "tokenizer.json",      "tokenizer_config.json",
      "vocab.json",        "vocab.txt",           "merges.txt",
      "added_tokens.json", "chat_template.jinja", "special_tokens_map.json"};
  std::error_code error;
  for (const char* name : kNames)
    if (std::filesystem::exists(from / name, error)) TRY(copy_all(from / name, to / name));
  return {};
}

Result<std::optional<std::string>> load_chat_template(const Path& folder) {
  if (std::filesystem::exists(folder / "chat_template.jinja"))
    return std::optional(TRY(read_file(folder / "chat_template.jinja")));
  const JsonObject config = TRY(load_object(folder / "tokenizer_config.json"));
  const Json* value = config.if_contains("chat_template");
  if (value == nullptr) return std::optional<std::string>();
  if (value->is_string()) return std::optional(std::string(value->get_string()));
  if (!value->is_array()) return std::optional<std::string>();
  for (const Json& each : value->get_array()) {
    const Result<std::string> name = json_string(each, "name");
    Result<std::string> source = json_string(each, "template");
    if (name && source && *name == "default") return std::optional(std::move(source).value());
  }
  return std::optional<std::string>();
}

}  // namespace volant
