// Collect and prepare: users' files to rows, splits, and the encoder of the training part.
#include <map>

#include "io/jsonl.h"
#include "tasks/split.h"
#include "wheel/file_digests.h"
#include "wheel/predict/stages.h"
#include "wheel/pretrained.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

const PredictSection& section_of(const Workspace& workspace) { return *workspace.config().predict; }

// Every so many of `n`, so that at most `most` remain.
bool is_taken(size_t index, size_t n, int64_t most) {
  if (most <= 0 || std::cmp_greater_equal(most, n)) return true;
  const auto wanted = static_cast<size_t>(most);
  return index * wanted / n != (index + 1) * wanted / n;
}

struct Collected {
  std::vector<TaskRow> rows;
  std::vector<std::string> parts;
};

Status check_answer(const TaskRow& row, const std::string& problem) {
  const bool number = problem == "number";
  if (number ? row.target.has_value() : !row.label.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "expected a {0}, as problem = \"{1}\" in [task] says: name its column as '{0}' in [data]",
              number ? "target" : "label", problem)
      .at("row '" + row.id + "'");
}

Result<Collected> read_collected(const Path& file, int64_t max_rows, const std::string& problem) {
  std::vector<Json> all = TRY(read_jsonl(file));
  Collected collected;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!is_taken(i, all.size(), max_rows)) continue;
    JsonObject& row = all[i].as_object();
    collected.parts.push_back(TRY(json_string(all[i], "part")));
    row.erase("part");
    collected.rows.push_back(TRY(parse_task_row(all[i])));
    TRY(check_answer(collected.rows.back(), problem));
  }
  return collected;
}

Result<std::vector<TaskRow>> write_part(const Collected& collected, const std::vector<Part>& parts, Part part,
                                        const Path& file) {
  std::vector<TaskRow> rows;
  JsonlWriter writer = TRY(JsonlWriter::create(file));
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] != part) continue;
    TRY(writer.write(to_json(collected.rows[i])));
    rows.push_back(collected.rows[i]);
  }
  TRY(writer.finish());
  return rows;
}

// {"rows", "labels": {name: rows}} or {"rows", "target": {"mean", "min", "max"}}.
JsonObject describe(const std::vector<TaskRow>& rows, bool numbers) {
  JsonObject json{{"rows", rows.size()}};
  if (numbers) {
    double sum = 0, low = rows.empty() ? 0 : rows[0].target.value_or(0), high = low;
    for (const TaskRow& row : rows) {
      const double target = row.target.value_or(0);
      sum += target;
      low = std::min(low, target);
      high = std::max(high, target);
    }
    const double mean = rows.empty() ? 0 : sum / static_cast<double>(rows.size());
    json["target"] = JsonObject{{"mean", mean}, {"min", low}, {"max", high}};
    return json;
  }
  std::map<std::string, int64_t> counts;
  for (const TaskRow& row : rows) ++counts[row.label];
  JsonObject labels;
  for (const auto& [label, count] : counts) labels[label] = count;
  json["labels"] = std::move(labels);
  return json;
}

Result<JsonArray> file_digests(Workspace& workspace, bool cheap) {
  JsonArray files;
  for (const Path& file : TRY(task_of(workspace).files(task_data(workspace), workspace.path())))
    files.push_back(
        JsonArray{Json(file.string()), Json(TRY(cached_digest(workspace.registry(), file, cheap)))});
  return files;
}

}  // namespace

const Task& task_of(const Workspace& workspace) {
  const Task* task = find_task(section_of(workspace).kind);
  CHECK(task != nullptr);  // volant.toml was checked
  return *task;
}

Json task_data(const Workspace& workspace) {
  JsonObject data = section_of(workspace).data;
  (void)take_split_options(data);
  return Json(std::move(data));
}

Json model_section(const Workspace& workspace) { return Json(section_of(workspace).model); }

Result<Json> resolved_model(const Workspace& workspace) {
  Json model = model_section(workspace);
  const std::string init_from = TRY(json_string_or(model, "init_from", ""));
  if (!init_from.empty())
    model.as_object()["init_from"] = TRY(pretrained_folder(workspace.path(), init_from)).string();
  return model;
}

Result<std::vector<TaskRow>> read_task_rows(const Path& file) {
  std::vector<TaskRow> rows;
  JsonlReader reader = TRY(JsonlReader::open(file));
  while (auto row = TRY(reader.next())) {
    Result<TaskRow> parsed = parse_task_row(*row);
    if (!parsed) return std::move(parsed).error().at(fmt::format("{}:{}", file.string(), reader.line()));
    rows.push_back(std::move(*parsed));
  }
  return rows;
}

Result<Json> collect_settings(Workspace& workspace, bool cheap) {
  return Json(JsonObject{{"task", section_of(workspace).kind},
                         {"data", task_data(workspace)},
                         {"files", TRY(file_digests(workspace, cheap))}});
}

Result<StageResult> run_collect(StageContext& context) {
  Workspace& workspace = context.workspace;
  const Path documents = context.scratch / "documents.jsonl.zst", report = context.scratch / "collect.json";
  JsonlWriter writer = TRY(JsonlWriter::create(documents));
  std::map<std::string, uint64_t> counts;
  TRY(task_of(workspace).read(task_data(workspace), workspace.path(),
                              [&](TaskRow row, const char* part) -> Status {
                                Json json = to_json(row);
                                json.as_object()["part"] = part;
                                ++counts[part];
                                return writer.write(json);
                              }));
  TRY(writer.finish());
  StageResult result;
  JsonObject parts;
  uint64_t n_rows = 0;
  for (const auto& [part, n] : counts) {
    parts[part] = n;
    n_rows += n;
  }
  const JsonArray files = TRY(file_digests(workspace, false));
  for (const Json& file : files)
    result.from.push_back({"file", fmt::format("{}@{}", std::string(file.at(0).as_string()),
                                               std::string(file.at(1).as_string()))});
  result.summary = JsonObject{{"rows", n_rows}, {"parts", std::move(parts)}, {"files", files.size()}};
  TRY(write_file_atomic(report, dump_json_pretty(result.summary)));
  result.products = {{"documents", "documents", documents}, {"collect_report", "report", report}};
  result.detail = fmt::format("{} from {}", count_of(n_rows, "rows"), count_of(files.size(), "files"));
  return result;
}

Result<Json> init_from_settings(Workspace& workspace, bool cheap) {
  const std::string init_from = TRY(json_string_or(model_section(workspace), "init_from", ""));
  if (init_from.empty()) return Json();
  return pretrained_settings(workspace, init_from, cheap);
}

Result<Json> prepare_settings(Workspace& workspace, bool cheap) {
  const PredictSection& section = section_of(workspace);
  return Json(JsonObject{{"task", section.kind},
                         {"problem", section.problem},
                         {"data", section.data},
                         {"init_from", TRY(init_from_settings(workspace, cheap))}});
}

Result<StageResult> run_prepare(StageContext& context) {
  Workspace& workspace = context.workspace;
  const PredictSection& section = section_of(workspace);
  JsonObject data = section.data;
  const SplitOptions options = TRY(take_split_options(data));
  const Collected collected =
      TRY(read_collected(TRY(context.input("documents")), options.max_rows, section.problem));
  const std::vector<Part> parts = TRY(split_rows(collected.rows, collected.parts, options));
  const Path folder = context.scratch / "rows";
  TRY(make_dirs(folder / kEncoderFolder));
  const std::vector<TaskRow> train = TRY(write_part(collected, parts, Part::kTrain, folder / kTrainRows)),
                             validation = TRY(
                                 write_part(collected, parts, Part::kValidation, folder / kValidationRows)),
                             test = TRY(write_part(collected, parts, Part::kTest, folder / kTestRows));
  const auto encoder =
      TRY(task_of(workspace).learn(Json(data), TRY(resolved_model(workspace)), workspace.path(), train));
  TRY(encoder->save(folder / kEncoderFolder));
  const bool numbers = section.problem == "number";
  StageResult result;
  result.summary = JsonObject{{"train", describe(train, numbers)},
                              {"validation", describe(validation, numbers)},
                              {"test", describe(test, numbers)},
                              {"schema", encoder->schema()}};
  TRY(write_file_atomic(folder / "report.json", dump_json_pretty(result.summary)));
  result.products = {{"rows", "rows", folder}};
  result.detail =
      fmt::format("{} to learn from, {} to choose by, {} to judge by", count_of(train.size(), "rows"),
                  count_of(validation.size(), "rows"), count_of(test.size(), "rows"));
  return result;
}

}  // namespace volant::predict
