#include "wheel/recipe.h"

#include <array>
#include <functional>

#include "base/nearest.h"
#include "data/pack.h"
#include "models/checkpoint.h"
#include "wheel/toml_json.h"
#include "wheel/toml_library.h"
#include "wheel/training_data.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRecipeBytes = 1 << 20;
const std::vector<std::string> kDataKeys = {"train", "validation", "validation_share"};
const std::vector<std::string> kSourceKeys = {"path", "weight", "epochs", "format", "columns"};
// Data that the trainer makes or finds itself: handed on as it is.
const std::vector<std::string> kTrainerDataKeys = {"sampled", "toy_arithmetic", "train_shard",
                                                   "validation_shard"};
// Objectives whose rows have fields of their own and are handed on as they are.
constexpr std::array kOwnRows = {"classify", "classify_tokens", "embed", "grpo"};
constexpr std::array kPreferenceLosses = {"dpo", "ipo", "kto", "orpo", "simpo"};

bool is_path_key(std::string_view key) {
  return key == "init_from" || key == "tokenizer" || key == "path" || key == "teacher" || key == "train" ||
         key == "validation" || key == "model" || key == "train_shard" || key == "validation_shard";
}

// Variables put in everywhere, and what is a path made absolute.
Status resolve(Json& value, std::string_view key, const Path& folder) {
  if (value.is_object()) {
    for (auto& field : value.as_object()) {
      const std::string name(field.key());
      TRY(resolve(field.value(), name, folder));
    }
  } else if (value.is_array()) {
    for (Json& item : value.as_array()) TRY(resolve(item, key, folder));
  } else if (value.is_string()) {
    std::string text = TRY(with_variables(std::string_view(value.as_string())));
    if (is_path_key(key) && !text.empty()) text = (folder / text).lexically_normal().string();
    value = Json(text);
  }
  return {};
}

Status check_known(const JsonObject& object, const std::vector<std::string>& known, const char* where) {
  for (const auto& field : object) {
    const std::string key(field.key());
    if (std::find(known.begin(), known.end(), key) == known.end())
      return fail(ErrorCode::kInvalidArgument, "unknown key '{}' in {}{}", key, where,
                  did_you_mean(key, known));
  }
  return {};
}

Result<std::vector<TrainingSource>> sources_of(const Json& data, const char* key) {
  std::vector<TrainingSource> sources;
  const Json* list = json_find(data, key);
  if (list == nullptr) return sources;
  if (!list->is_array()) return fail(ErrorCode::kInvalidArgument, "data.{}: expected a list of files", key);
  for (const Json& item : list->as_array()) {
    TrainingSource source;
    if (item.is_string()) {
      source.path = std::string(item.as_string());
    } else {
      if (!item.is_object())
        return fail(ErrorCode::kInvalidArgument, "data.{}: expected files or tables", key);
      TRY(check_known(item.as_object(), kSourceKeys, "a source of [data]"));
      source.path = TRY(json_string(item, "path"));
      source.weight = TRY(json_number_or(item, "weight", 0));
      source.epochs = TRY(json_number_or(item, "epochs", 1));
      source.layout = TRY(row_layout_from_json(item));
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

// The job's "data", and the objective that the rows are for.
Result<JsonObject> write_data(const Json& recipe, const std::string& tokenizer, uint64_t seed,
                              const Path& folder, std::string& objective) {
  const Json* data = json_find(recipe, "data");
  if (data == nullptr || !data->is_object())
    return fail(ErrorCode::kInvalidArgument, "expected [data] with train = [files]");
  const auto of_trainer = [&](const std::string& key) { return data->as_object().contains(key); };
  if (std::ranges::any_of(kTrainerDataKeys, of_trainer)) {
    TRY(check_known(data->as_object(), kTrainerDataKeys, "[data] that the trainer makes"));
    if (objective.empty())
      return fail(ErrorCode::kInvalidArgument, "expected an 'objective' with data that the trainer makes");
    return data->as_object();
  }
  TRY(check_known(data->as_object(), kDataKeys, "[data]"));
  const std::vector<TrainingSource> train = TRY(sources_of(*data, "train")),
                                    held_out = TRY(sources_of(*data, "validation"));
  if (train.empty()) return fail(ErrorCode::kInvalidArgument, "expected [data] with train = [files]");
  const double share = TRY(json_number_or(*data, "validation_share", 0));
  if (!(share >= 0 && share <= 0.5) || (share > 0 && !held_out.empty()))
    return fail(ErrorCode::kInvalidArgument,
                "expected either data.validation (files) or data.validation_share, 0 to 0.5");
  const Path rows = folder / "train.jsonl", other = folder / "validation.jsonl";
  const bool canonical = std::ranges::find(kOwnRows, objective) == kOwnRows.end();
  const TrainingRows written = TRY(write_training_rows(train, seed, share, canonical, rows, other));
  if (!held_out.empty()) (void)TRY(write_training_rows(held_out, seed, 0, canonical, other, {}));
  if (objective.empty()) objective = default_objective(written.kind);
  const bool evaluates = !held_out.empty() || written.n_validation > 0;
  if (objective != "pretrain" || written.kind != RowKind::kDocument) {
    JsonObject job{{"train_rows", rows.string()}};
    if (evaluates) job["validation_rows"] = other.string();
    return job;
  }
  const auto vocabulary = TRY(load_tokenizer(tokenizer));
  TRY(write_shard_of_rows(rows, *vocabulary, folder / "train"));
  JsonObject job{{"train_shard", (folder / "train").string()}};
  if (!evaluates) return job;
  TRY(write_shard_of_rows(other, *vocabulary, folder / "validation"));
  job["validation_shard"] = (folder / "validation").string();
  return job;
}

// [model]: a folder to start from, or fields of config.json.
JsonObject job_model(const JsonObject& model) {
  if (model.contains("init_from")) return model;
  JsonObject fields = model, job;
  if (const Json* size = fields.if_contains("size")) job["size"] = *size;
  fields.erase("size");
  if (!fields.empty()) job["config"] = std::move(fields);
  return job;
}

}  // namespace

Result<JsonObject> load_recipe(const Path& file) {
  const std::string text = TRY(read_file(file, kMaxRecipeBytes)), name = file.string();
  Json recipe =
      TRY(with_toml(text, name, [](const toml::table& root) -> Result<Json> { return json_of(root); }));
  Status resolved = resolve(recipe, "", std::filesystem::absolute(file).parent_path());
  if (!resolved) return std::move(resolved).error().at(name);
  return std::move(recipe.as_object());
}

Result<Path> write_recipe_job(const JsonObject& given, const Path& out_folder) {
  const Path out = std::filesystem::absolute(out_folder).lexically_normal(), file = out / "job.json";
  std::error_code error;
  if (std::filesystem::exists(file, error))
    return fail(ErrorCode::kAlreadyExists,
                "expected a new folder; to go on with this run: volant train --job {}", file.string())
        .at(out.string());
  const Json recipe(given);
  const Json* model = json_find(recipe, "model");
  if (model == nullptr || !model->is_object())
    return fail(ErrorCode::kInvalidArgument, "expected [model] with init_from = \"FOLDER\", or its fields");
  JsonObject job;
  for (const auto& field : given) {
    const std::string key(field.key());
    if (key == "data" || key == "model" || key == "name" || key == "out" || key == "train") continue;
    job[key] = field.value();
  }
  if (const Json* train = json_find(recipe, "train"); train != nullptr && train->is_object())
    for (const auto& field : train->as_object()) job[field.key()] = field.value();
  const std::string init_from = TRY(json_string_or(*model, "init_from", ""));
  if (!init_from.empty()) (void)TRY(Checkpoint::open(init_from));  // before anything is written
  const std::string tokenizer = TRY(json_string_or(recipe, "tokenizer", init_from));
  std::string objective = TRY(json_string_or(recipe, "objective", ""));
  const auto seed = static_cast<uint64_t>(TRY(json_int_or(Json(job), "seed", 1)));
  job["data"] = TRY(write_data(recipe, tokenizer, seed, out / "data", objective));
  if (std::ranges::find(kPreferenceLosses, objective) != kPreferenceLosses.end()) {
    JsonObject preference;
    if (const auto* named = job.if_contains("preference"); named != nullptr && named->is_object())
      preference = named->as_object();
    preference["loss"] = objective;
    job["preference"] = std::move(preference);
    objective = "preference";
  }
  job["objective"] = objective;
  job["model"] = job_model(model->as_object());
  if (!tokenizer.empty()) job["tokenizer"] = tokenizer;
  TRY(write_file_atomic(file, dump_json_pretty(job)));
  return file;
}

}  // namespace volant
