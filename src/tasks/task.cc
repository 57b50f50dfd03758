#include "tasks/task.h"

#include <array>
#include <cmath>

#include "base/nearest.h"
#include "tasks/image/image_task.h"
#include "tasks/table/table_task.h"
#include "tasks/text/text_task.h"

namespace volant {
namespace {

const std::array<const Task*, 3> kTasks = {&kImageTask, &kTableTask, &kTextTask};

// Keys of a row, sorted.
const std::array<std::string, 7> kRowKeys = {"group", "id", "input", "label", "target", "time", "weight"};

Result<std::string> text_field(const Json& row, std::string_view key) {
  const Json* value = json_find(row, key);
  if (value == nullptr) return std::string();
  if (!value->is_string())
    return fail(ErrorCode::kParse, "expected '{}' to be a text, got {}; a number is written \"7\"", key,
                dump_json(*value));
  return std::string(value->get_string());
}

Result<double> number_field(const Json& row, std::string_view key, double otherwise) {
  const double value = TRY(json_number_or(row, key, otherwise));
  if (!std::isfinite(value)) return fail(ErrorCode::kParse, "expected '{}' to be a finite number", key);
  return value;
}

}  // namespace

EncodedInput without(const EncodedInput& input, const InputPart& part) {
  EncodedInput out = input;
  if (!input.features.empty()) {
    for (size_t i = 0; i < part.at.size(); ++i) out.features[part.at[i]] = part.otherwise[i];
    return out;
  }
  for (auto at = part.at.rbegin(); at != part.at.rend(); ++at) {
    out.tokens.erase(out.tokens.begin() + static_cast<ptrdiff_t>(*at));
    if (!out.types.empty()) out.types.erase(out.types.begin() + static_cast<ptrdiff_t>(*at));
  }
  return out;
}

Result<TaskRow> parse_task_row(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected a row, a JSON object with an 'input'");
  for (const auto& entry : json.get_object()) {
    const std::string key(entry.key());
    if (std::find(kRowKeys.begin(), kRowKeys.end(), key) == kRowKeys.end())
      return fail(ErrorCode::kParse, "unknown field '{}' of a row{}", key, did_you_mean(key, kRowKeys));
  }
  TaskRow row;
  const Json* input = json_find(json, "input");
  if (input == nullptr || !input->is_object())
    return fail(ErrorCode::kParse, "expected 'input' to be a JSON object, got {}",
                input == nullptr ? "nothing" : dump_json(*input).substr(0, 100));
  row.input = *input;
  row.id = TRY(text_field(json, "id"));
  row.label = TRY(text_field(json, "label"));
  row.group = TRY(text_field(json, "group"));
  row.time = TRY(text_field(json, "time"));
  if (json_find(json, "target") != nullptr) row.target = TRY(number_field(json, "target", 0));
  if (!row.label.empty() && row.target)
    return fail(ErrorCode::kParse, "expected 'label' or 'target', got both");
  row.weight = TRY(number_field(json, "weight", 1));
  if (row.weight < 0) return fail(ErrorCode::kParse, "expected 'weight' of at least 0, got {}", row.weight);
  return row;
}

Json to_json(const TaskRow& row) {
  JsonObject json;
  if (!row.id.empty()) json["id"] = row.id;
  json["input"] = row.input;
  if (!row.label.empty()) json["label"] = row.label;
  if (row.target) json["target"] = *row.target;
  if (row.weight != 1) json["weight"] = row.weight;
  if (!row.group.empty()) json["group"] = row.group;
  if (!row.time.empty()) json["time"] = row.time;
  return json;
}

std::span<const Task* const> tasks() { return kTasks; }

const Task* find_task(std::string_view name) {
  for (const Task* task : kTasks)
    if (name == task->name) return task;
  return nullptr;
}

Result<Json> read_encoder_json(const Path& folder, std::string_view task) {
  const Path path = folder / "encoder.json";
  const std::string text = TRY(read_file(path));
  const auto read = [&]() -> Result<Json> {
    Json json = TRY(parse_json(text));
    const std::string name = TRY(json_string(json, "task"));
    if (!task.empty() && name != task)
      return fail(ErrorCode::kParse, "expected the encoder of the task '{}', got '{}'", task, name);
    const int64_t version = TRY(json_int(json, "version"));
    if (version != kEncoderVersion)
      return fail(ErrorCode::kUnsupported, "expected version {} of encoder.json, got {}", kEncoderVersion,
                  version);
    return json;
  };
  Result<Json> json = read();
  if (!json) return std::move(json).error().at(path.string());
  return json;
}

Result<std::unique_ptr<InputEncoder>> load_encoder(const Path& model_folder) {
  const Json json = TRY(read_encoder_json(model_folder, ""));
  const std::string name = TRY(json_string(json, "task"));
  const Task* task = find_task(name);
  if (task == nullptr) {
    std::vector<std::string> names;
    for (const Task* known : kTasks) names.emplace_back(known->name);
    return fail(ErrorCode::kUnsupported, "unknown task '{}'{}", name, did_you_mean(name, names))
        .at((model_folder / "encoder.json").string());
  }
  return task->load(model_folder);
}

}  // namespace volant
