// The TOML side of config.h.
#include "wheel/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/nearest.h"
#include "tasks/task.h"
#include "wheel/config_check.h"
#include "wheel/config_fields.h"
#include "wheel/toml_json.h"
#include "wheel/toml_library.h"

namespace volant {
namespace {

const std::vector<std::string> kSections = {"workspace", "collect", "prepare",  "tokenizer",
                                            "model",     "train",   "evaluate", "compress",
                                            "gate",      "serve",   "improve"};
const std::vector<std::string> kPredictSections = {"workspace", "task",     "data", "model", "train",
                                                   "evaluate",  "compress", "gate", "serve", "improve"};

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// Reads the keys of one table; the first problem stops it and is kept.
class Reader {
 public:
  Reader(const toml::table& table, std::string section, std::string file)
      : table_(table), section_(std::move(section)), file_(std::move(file)) {}

  void text(const char* key, std::string& out) {
    if (const toml::node* node = take(key)) {
      if (const auto* value = node->as_string()) {
        out = value->get();
      } else {
        wrong(*node, key, "a string");
      }
    }
  }

  void choice(const char* key, std::string& out, const std::vector<std::string>& choices) {
    text(key, out);
    if (error_ || table_.get(key) == nullptr) return;
    if (std::find(choices.begin(), choices.end(), out) != choices.end()) return;
    set_error(*table_.get(key), fmt::format("{}.{}: expected one of {}, got '{}'{}", section_, key,
                                            fmt::join(choices, ", "), out, did_you_mean(out, choices)));
  }

  template <class T>
  void integer(const char* key, T& out, int64_t low, int64_t high) {
    const toml::node* node = take(key);
    if (node == nullptr) return;
    const auto* value = node->as_integer();
    if (value == nullptr) return wrong(*node, key, "an integer");
    if (value->get() < low || value->get() > high) {
      return set_error(
          *node, fmt::format("{}.{}: expected {} to {}, got {}", section_, key, low, high, value->get()));
    }
    out = static_cast<T>(value->get());
  }

  void number(const char* key, double& out, double low, double high) {
    const toml::node* node = take(key);
    if (node == nullptr) return;
    const auto value = node->is_number() ? node->value<double>() : std::nullopt;
    if (!value) return wrong(*node, key, "a number");
    if (!(*value >= low && *value <= high)) {
      return set_error(*node,
                       fmt::format("{}.{}: expected {} to {}, got {}", section_, key, low, high, *value));
    }
    out = *value;
  }

  void flag(const char* key, bool& out) {
    const toml::node* node = take(key);
    if (node == nullptr) return;
    if (const auto* value = node->as_boolean()) {
      out = value->get();
    } else {
      wrong(*node, key, "true or false");
    }
  }

  void texts(const char* key, std::vector<std::string>& out) {
    const toml::node* node = take(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong(*node, key, "an array of strings");
    out.clear();
    for (const toml::node& item : *array) {
      const auto* value = item.as_string();
      if (value == nullptr) return wrong(item, key, "strings in the array");
      out.push_back(value->get());
    }
  }

  // The first problem, or the first key that nobody asked for.
  Status finish() {
    if (error_) return std::move(*error_);
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      set_error(node, fmt::format("unknown key '{}' in [{}]{}", name, section_, did_you_mean(name, known_)),
                &key);
      return std::move(*error_);
    }
    return {};
  }

 private:
  const toml::node* take(const char* key) {
    known_.emplace_back(key);
    return error_ ? nullptr : table_.get(key);
  }
  void wrong(const toml::node& node, const char* key, const char* expected) {
    set_error(node, fmt::format("{}.{}: expected {}, got {}", section_, key, expected, type_name(node)));
  }
  void set_error(const toml::node& node, std::string message, const toml::key* key = nullptr) {
    const auto line = key != nullptr ? key->source().begin.line : node.source().begin.line;
    error_ = Error{ErrorCode::kInvalidArgument, std::move(message), fmt::format("{}:{}", file_, line)};
  }

  const toml::table& table_;
  std::string section_, file_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

Error at_line(Error error, const std::string& file, const toml::node& node) {
  error.where = fmt::format("{}:{}", file, node.source().begin.line);
  return error;
}

// The table of a section; nullptr when the file has none.
Result<const toml::table*> section_table(const toml::table& root, const char* name, const std::string& file) {
  const toml::node* node = root.get(name);
  if (node == nullptr) return static_cast<const toml::table*>(nullptr);
  if (const toml::table* table = node->as_table()) return table;
  return at_line(
      fail(ErrorCode::kInvalidArgument, "expected the section [{}], got {}", name, type_name(*node)), file,
      *node);
}

template <class Section>
Status read_section(const toml::table& root, const char* name, const std::string& file, Section& section) {
  const toml::table* table = TRY(section_table(root, name, file));
  if (table == nullptr) return {};
  Reader reader(*table, name, file);
  visit_fields(reader, section);
  return reader.finish();
}

Status read_sources(const toml::table& root, const std::string& file, std::vector<SourceSection>& sources) {
  const toml::table* collect = TRY(section_table(root, "collect", file));
  if (collect == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "expected at least one [[collect.source]] with name and paths")
        .at(file);
  }
  for (const auto& [key, node] : *collect) {
    if (key.str() == "source") continue;
    return at_line(fail(ErrorCode::kInvalidArgument, "unknown key '{}' in [collect]{}", key.str(),
                        did_you_mean(key.str(), std::vector<std::string>{"source"})),
                   file, node);
  }
  const toml::node* list = collect->get("source");
  const toml::array* array = list == nullptr ? nullptr : list->as_array();
  if (array == nullptr || array->empty()) {
    return fail(ErrorCode::kInvalidArgument, "expected [[collect.source]] (in double brackets), at least one")
        .at(file);
  }
  std::set<std::string> names;
  for (const toml::node& item : *array) {
    const toml::table* table = item.as_table();
    if (table == nullptr) {
      return at_line(
          fail(ErrorCode::kInvalidArgument, "expected [[collect.source]], got {}", type_name(item)), file,
          item);
    }
    SourceSection source;
    Reader reader(*table, "collect.source", file);
    visit_fields(reader, source);
    TRY(reader.finish());
    for (std::vector<std::string>* paths : {&source.paths, &source.exclude})
      for (std::string& path : *paths) {
        Result<std::string> resolved = with_variables(path);
        if (!resolved) return at_line(std::move(resolved).error(), file, item);
        path = std::move(*resolved);
      }
    if (Status checked = check_source(source); !checked)
      return at_line(std::move(checked).error(), file, item);
    if (!names.insert(source.name).second) {
      return at_line(
          fail(ErrorCode::kInvalidArgument, "two sources are named '{}'; names must differ", source.name),
          file, item);
    }
    sources.push_back(std::move(source));
  }
  return {};
}

Status check_sections(const toml::table& root, const std::vector<std::string>& known,
                      const std::string& file) {
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    Error error = fail(ErrorCode::kInvalidArgument, "unknown {} '{}'{}", node.is_table() ? "section" : "key",
                       name, did_you_mean(name, known));
    error.where = fmt::format("{}:{}", file, key.source().begin.line);
    return error;
  }
  return {};
}

// A section that somebody else reads.
Result<JsonObject> read_json_section(const toml::table& root, const char* name, const std::string& file) {
  const toml::table* table = TRY(section_table(root, name, file));
  if (table == nullptr) return JsonObject();
  Json json = json_of(*table);
  if (Status resolved = put_in_variables(json); !resolved)
    return at_line(std::move(resolved).error(), file, *root.get(name));
  return std::move(json.as_object());
}

Result<PredictSection> read_predict(const toml::table& root, const std::string& file) {
  PredictSection section;
  const toml::table* task = TRY(section_table(root, "task", file));
  Reader reader(*task, "task", file);
  std::vector<std::string> kinds;
  for (const Task* each : tasks()) kinds.emplace_back(each->name);
  reader.choice("kind", section.kind, kinds);
  reader.choice("problem", section.problem, {"classes", "binary", "number"});
  TRY(reader.finish());
  if (section.kind.empty())
    return at_line(
        fail(ErrorCode::kInvalidArgument, "[task] expected kind = one of {}", fmt::join(kinds, ", ")), file,
        *task);
  section.data = TRY(read_json_section(root, "data", file));
  section.model = TRY(read_json_section(root, "model", file));
  section.train = TRY(read_json_section(root, "train", file));
  section.evaluate = TRY(read_json_section(root, "evaluate", file));
  TRY(read_section(root, "gate", file, section.gate));
  return section;
}

// A model to go on from brings its own shape: further keys would be ignored.
Status read_model(const toml::table& root, const std::string& file, ModelSection& model) {
  TRY(read_section(root, "model", file, model));
  if (model.init_from.empty()) return {};
  Result<std::string> resolved = with_variables(model.init_from);
  if (!resolved) return at_line(std::move(resolved).error(), file, *root.get("model"));
  model.init_from = std::move(*resolved);
  for (const auto& [key, node] : *root.get("model")->as_table())
    if (key.str() != "init_from")
      return at_line(
          fail(ErrorCode::kInvalidArgument,
               "[model] {}: with init_from the model's own config.json says it; leave one of them out",
               key.str()),
          file, node);
  return {};
}

Status read_language(const toml::table& root, const std::string& file, WorkspaceConfig& config) {
  TRY(read_sources(root, file, config.sources));
  TRY(read_section(root, "prepare", file, config.prepare));
  TRY(read_section(root, "tokenizer", file, config.tokenizer));
  TRY(read_model(root, file, config.model));
  TRY(read_section(root, "train", file, config.train));
  TRY(read_section(root, "evaluate", file, config.evaluate));
  return read_section(root, "gate", file, config.gate);
}

Result<WorkspaceConfig> read_config(const toml::table& root, const std::string& file) {
  const bool predicts = root.contains("task");
  TRY(check_sections(root, predicts ? kPredictSections : kSections, file));
  WorkspaceConfig config;
  const toml::table* workspace = TRY(section_table(root, "workspace", file));
  if (workspace != nullptr) {
    Reader reader(*workspace, "workspace", file);
    reader.text("name", config.name);
    TRY(reader.finish());
  }
  if (config.name.empty()) {
    return fail(ErrorCode::kInvalidArgument, "expected [workspace] with name = \"...\"").at(file);
  }
  if (predicts) {
    config.predict = TRY(read_predict(root, file));
    config.compress.formats = {"f32"};
  } else {
    TRY(read_language(root, file, config));
  }
  TRY(read_section(root, "compress", file, config.compress));
  TRY(read_section(root, "serve", file, config.serve));
  TRY(read_section(root, "improve", file, config.improve));
  if (const auto problem = find_conflict(config)) {
    Error error = fail(ErrorCode::kInvalidArgument, "[{}] {}", problem->section, problem->message);
    const toml::node* node = root.get(problem->section);
    return node == nullptr ? std::move(error).at(file) : at_line(std::move(error), file, *node);
  }
  return config;
}

}  // namespace

Result<WorkspaceConfig> parse_config(std::string_view text, const std::string& file_name) {
  return with_toml(text, file_name, [&](const toml::table& root) { return read_config(root, file_name); });
}

Result<WorkspaceConfig> load_config(const Path& file) {
  constexpr uint64_t kMaxConfigBytes = 1 << 20;
  const std::string text = TRY(read_file(file, kMaxConfigBytes));
  return parse_config(text, file.string());
}

}  // namespace volant
