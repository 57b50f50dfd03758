#include "runtime/sentence_files.h"

#include "base/json.h"

namespace volant {
namespace {

struct PoolingName {
  Pooling pooling;
  const char* key;
};
constexpr PoolingName kPoolings[] = {{Pooling::kFirst, "pooling_mode_cls_token"},
                                     {Pooling::kMean, "pooling_mode_mean_tokens"},
                                     {Pooling::kLast, "pooling_mode_lasttoken"}};

bool is_there(const Path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<Json> read_json(const Path& path) {
  const std::string text = TRY(read_file(path));
  Result<Json> json = parse_json(text);
  if (!json) return std::move(json).error().at(path.string());
  return json;
}

Result<Pooling> pooling_of(const Json& json, int64_t n_dims) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected a JSON object");
  std::optional<Pooling> found;
  for (const auto& entry : json.as_object()) {
    if (!entry.key().starts_with("pooling_mode_") || !TRY(json_bool(json, entry.key()))) continue;
    if (found) return fail(ErrorCode::kUnsupported, "expected one way of pooling, got several");
    for (const PoolingName& each : kPoolings)
      if (entry.key() == each.key) found = each.pooling;
    if (!found)
      return fail(ErrorCode::kUnsupported, "'{}' is not supported: supported are mean, cls and last token",
                  std::string(entry.key()));
  }
  if (!found) return fail(ErrorCode::kUnsupported, "expected one way of pooling, got none");
  const int64_t width = TRY(json_int_or(json, "word_embedding_dimension", n_dims));
  if (width != n_dims)
    return fail(ErrorCode::kParse, "'word_embedding_dimension' is {}, the model's hidden_size {}", width,
                n_dims);
  return *found;
}

Result<Pooling> read_pooling(const Path& file, int64_t n_dims) {
  auto pooling = pooling_of(TRY(read_json(file)), n_dims);
  if (!pooling) return std::move(pooling).error().at(file.string());
  return pooling;
}

// "sentence_transformers.models.Pooling" and so on, in the order they run.
Status read_modules(const Path& folder, int64_t n_dims, SentenceSettings& settings) {
  const Json modules = TRY(read_json(folder / "modules.json"));
  if (!modules.is_array())
    return fail(ErrorCode::kParse, "expected a list of modules").at((folder / "modules.json").string());
  settings.normalize = false;
  for (const Json& module : modules.as_array()) {
    const std::string type = TRY(json_string(module, "type"));
    const std::string path = TRY(json_string_or(module, "path", ""));
    if (type.ends_with(".Transformer")) {
      if (!path.empty() && path != ".")
        return fail(ErrorCode::kUnsupported, "a Transformer in the folder '{}' is not supported", path);
    } else if (type.ends_with(".Pooling")) {
      settings.pooling = TRY(read_pooling(folder / path / "config.json", n_dims));
    } else if (type.ends_with(".Normalize")) {
      settings.normalize = true;
    } else {
      return fail(ErrorCode::kUnsupported, "the module '{}' of modules.json is not supported", type)
          .at(folder.string());
    }
  }
  return {};
}

}  // namespace

bool has_sentence_settings(const Path& folder) {
  return is_there(folder / "modules.json") || is_there(folder / "1_Pooling/config.json");
}

Result<SentenceSettings> read_sentence_settings(const Path& folder, int64_t n_dims) {
  SentenceSettings settings;
  const Path own = folder / "config_sentence_transformers.json";
  if (is_there(own)) {
    const Json json = TRY(read_json(own));
    const Json* prompt = json_find(json, "default_prompt_name");
    if (prompt != nullptr && !prompt->is_null())
      return fail(ErrorCode::kUnsupported,
                  "'default_prompt_name': a prompt before each text is not supported")
          .at(own.string());
  }
  if (is_there(folder / "modules.json")) {
    TRY(read_modules(folder, n_dims, settings));
  } else if (is_there(folder / "1_Pooling/config.json")) {
    settings.pooling = TRY(read_pooling(folder / "1_Pooling/config.json", n_dims));
  }
  const Path lengths = folder / "sentence_bert_config.json";
  if (is_there(lengths)) {
    const Json json = TRY(read_json(lengths));
    const Json* most = json_find(json, "max_seq_length");
    if (most != nullptr && !most->is_null()) settings.max_seq_length = TRY(json_int(json, "max_seq_length"));
  }
  return settings;
}

Status write_sentence_settings(const Path& folder, const SentenceSettings& settings, int64_t n_dims) {
  JsonArray modules;
  const auto add = [&](const char* type, const std::string& path) {
    const auto number = static_cast<int64_t>(modules.size());
    modules.push_back(JsonObject{{"idx", number},
                                 {"name", std::to_string(number)},
                                 {"path", path},
                                 {"type", std::string("sentence_transformers.models.") + type}});
  };
  add("Transformer", "");
  add("Pooling", "1_Pooling");
  if (settings.normalize) add("Normalize", "2_Normalize");  // a module without settings: no such folder
  JsonObject pooling{{"word_embedding_dimension", n_dims},
                     {"pooling_mode_max_tokens", false},
                     {"pooling_mode_mean_sqrt_len_tokens", false}};
  for (const PoolingName& each : kPoolings)
    if (each.pooling != Pooling::kLast || settings.pooling == Pooling::kLast)  // older readers do not know it
      pooling[each.key] = each.pooling == settings.pooling;
  TRY(write_file_atomic(folder / "1_Pooling/config.json", dump_json_pretty(pooling)));
  if (settings.max_seq_length)
    TRY(write_file_atomic(folder / "sentence_bert_config.json",
                          dump_json_pretty(JsonObject{{"max_seq_length", *settings.max_seq_length},
                                                      {"do_lower_case", false}})));
  return write_file_atomic(folder / "modules.json", dump_json_pretty(modules));
}

}  // namespace volant
