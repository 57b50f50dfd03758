#include "wheel/recipe.h"

#include <array>
#include <functional>
#include <optional>

#include "base/json_fields.h"
#include "data/job_words.h"
#include "data/pack.h"
#include "io/lock_file.h"
#include "models/checkpoint.h"
#include "wheel/hub_cache.h"
#include "wheel/pretrained.h"
#include "wheel/toml_json.h"
#include "wheel/toml_library.h"
#include "wheel/training_data.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRecipeBytes = 1 << 20;
const std::vector<std::string> kDataKeys = {"train", "validation", "validation_share", "test", "test_share"};
const std::vector<std::string> kSourceKeys = {"path", "weight", "epochs", "format", "columns"};
// Data that the trainer makes or finds itself: handed on as it is.
const std::vector<std::string> kTrainerDataKeys = {"sampled", "toy_arithmetic", "train_shard",
                                                   "validation_shard", "test_shard"};
// Objectives whose rows have fields of their own and are handed on as they are.
constexpr std::array kOwnRows = {"classify", "embed", "grpo", "predict"};

bool is_path_key(std::string_view key) {
  return key == "init_from" || key == "tokenizer" || key == "path" || key == "teacher" || key == "train" ||
         key == "validation" || key == "model" || key == "train_shard" || key == "validation_shard" ||
         key == "test" || key == "test_shard" || key == "encoder";
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
    std::error_code error;
    const bool is_id =
        key == "init_from" && is_hub_id(text) && !std::filesystem::exists(folder / text, error);
    if (is_path_key(key) && !is_id && !text.empty()) text = (folder / text).lexically_normal().string();
    value = Json(text);
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
      TRY(check_keys(item.as_object(), kSourceKeys, " in a source of [data]"));
      source.path = TRY(json_string(item, "path"));
      source.weight = TRY(json_number_or(item, "weight", 0));
      source.epochs = TRY(json_number_or(item, "epochs", 1));
      source.layout = TRY(row_layout_from_json(item));
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

// "validation_share", which must not stand beside "validation".
Status read_share(const Json& data, const std::string& part, double& share) {
  share = TRY(json_number_or(data, part + "_share", 0));
  if (!(share >= 0 && share <= 0.5) || (share > 0 && json_find(data, part) != nullptr))
    return fail(ErrorCode::kInvalidArgument, "expected either data.{} (files) or data.{}_share, 0 to 0.5",
                part, part);
  return {};
}

// The job's "data", and the objective that the rows are for.
Result<JsonObject> write_data(const Json& recipe, const std::string& tokenizer, uint64_t seed,
                              const Path& folder, std::string& objective) {
  const Json* data = json_find(recipe, "data");
  if (data == nullptr || !data->is_object())
    return fail(ErrorCode::kInvalidArgument, "expected [data] with train = [files]");
  const auto of_trainer = [&](const std::string& key) { return data->as_object().contains(key); };
  if (std::ranges::any_of(kTrainerDataKeys, of_trainer)) {
    TRY(check_keys(data->as_object(), kTrainerDataKeys, " in [data] that the trainer makes"));
    if (objective.empty())
      return fail(ErrorCode::kInvalidArgument, "expected an 'objective' with data that the trainer makes");
    return data->as_object();
  }
  TRY(check_keys(data->as_object(), kDataKeys, " in [data]"));
  const std::vector<TrainingSource> train = TRY(sources_of(*data, "train"));
  if (train.empty()) return fail(ErrorCode::kInvalidArgument, "expected [data] with train = [files]");
  const Path rows = folder / "train.jsonl";
  HeldOut held_out{.validation = folder / "validation.jsonl", .test = folder / "test.jsonl"};
  TRY(read_share(*data, "validation", held_out.validation_share));
  TRY(read_share(*data, "test", held_out.test_share));
  const bool canonical = std::ranges::find(kOwnRows, objective) == kOwnRows.end();
  TrainingRows written = TRY(write_training_rows(train, seed, canonical, rows, held_out));
  if (objective.empty()) objective = default_objective(written.kind);
  const auto from_files = [&](const char* key, const Path& file, uint64_t& n) -> Status {
    const std::vector<TrainingSource> sources = TRY(sources_of(*data, key));
    if (!sources.empty()) n = TRY(write_training_rows(sources, seed, canonical, file)).n_train;
    return {};
  };
  TRY(from_files("validation", held_out.validation, written.n_validation));
  TRY(from_files("test", held_out.test, written.n_test));
  std::unique_ptr<Tokenizer> vocabulary;
  if (objective == "pretrain") vocabulary = TRY(load_tokenizer(tokenizer));
  JsonObject job;
  const auto add = [&](const std::string& part, const Path& file) -> Status {
    if (vocabulary) TRY(write_shard_of_rows(file, *vocabulary, folder / part));
    job[part + (vocabulary ? "_shard" : "_rows")] = (vocabulary ? folder / part : file).string();
    return {};
  };
  TRY(add("train", rows));
  if (written.n_validation > 0) TRY(add("validation", held_out.validation));
  if (written.n_test > 0) TRY(add("test", held_out.test));
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

bool is_preference_loss(const std::string& objective) {
  return std::ranges::find(job_words("preference.loss"), objective) != job_words("preference.loss").end();
}

// A recipe names a loss on preferences as the objective that it is.
void name_objective(const std::string& objective, JsonObject& job) {
  job["objective"] = is_preference_loss(objective) ? "preference" : objective;
  if (!is_preference_loss(objective)) return;
  const Json* named = json_find(job, "preference");
  JsonObject preference = named != nullptr && named->is_object() ? named->as_object() : JsonObject();
  preference["loss"] = objective;
  job["preference"] = std::move(preference);
}

// What the recipe says besides the data, its words checked; the objective is as it was named.
Result<JsonObject> job_without_data(const JsonObject& recipe) {
  JsonObject job = recipe;
  for (const char* key : {"data", "name", "out", "train"}) job.erase(key);
  if (const Json* train = json_find(recipe, "train"); train != nullptr) {
    if (!train->is_object()) return fail(ErrorCode::kInvalidArgument, "expected a table [train]");
    for (const auto& field : train->as_object()) job[field.key()] = field.value();
  }
  const Json* model = json_find(job, "model");
  if (model == nullptr || !model->is_object())
    return fail(ErrorCode::kInvalidArgument, "expected [model] with init_from = \"FOLDER\", or its fields");
  JsonObject named = job;
  if (json_find(job, "objective") != nullptr) {
    std::vector<std::string> objectives = job_words("objective");
    const auto& losses = job_words("preference.loss");
    objectives.insert(objectives.end(), losses.begin(), losses.end());
    std::string objective;
    TRY(read_word(Json(job), "objective", objectives, objective));
    name_objective(objective, named);
  }
  TRY(check_job_words(Json(named)));
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

bool run_has_begun(const Path& out) {
  std::error_code error;
  return std::filesystem::exists(out / "events.jsonl", error);
}

Result<Path> write_recipe_job(const JsonObject& recipe, const Path& out_folder) {
  const Path out = std::filesystem::absolute(out_folder).lexically_normal(), file = out / "job.json";
  if (run_has_begun(out))
    return fail(ErrorCode::kAlreadyExists,
                "expected a new folder; to go on with this run: volant train --job {}", file.string())
        .at(out.string());
  JsonObject job = TRY(job_without_data(recipe));
  Json model = *json_find(job, "model");
  std::string init_from = TRY(json_string_or(model, "init_from", ""));
  if (!init_from.empty()) {
    init_from = TRY(fetch_pretrained("", init_from)).string();
    (void)TRY(Checkpoint::open(init_from));
    model.as_object()["init_from"] = init_from;
  }
  std::string objective = TRY(json_string_or(Json(job), "objective", ""));
  const std::string tokenizer =
      TRY(json_string_or(Json(job), "tokenizer", objective == "predict" ? "" : init_from));
  const auto seed = static_cast<uint64_t>(TRY(json_int_or(Json(job), "seed", 1)));
  std::optional<LockFile> lock;
  std::error_code error;
  if (std::filesystem::exists(file, error)) lock.emplace(TRY(LockFile::acquire(out / "train.lock")));
  job["data"] = TRY(write_data(Json(recipe), tokenizer, seed, out / "data", objective));
  name_objective(objective, job);
  job["model"] = job_model(model.as_object());
  if (!tokenizer.empty()) job["tokenizer"] = tokenizer;
  TRY(write_file_atomic(file, dump_json_pretty(job)));
  return file;
}

}  // namespace volant
