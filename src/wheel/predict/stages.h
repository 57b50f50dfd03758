// The stages of a workspace of predictions, by the doors of tasks/task.h: rows from users' files, an encoder
// learned from the training part, a model by volant-train, its report, the folder that is served, and the
// gate.
#pragma once
#include "tasks/task.h"
#include "wheel/station.h"

namespace volant::predict {

Result<Json> collect_settings(Workspace& workspace, bool cheap);
Result<Json> prepare_settings(Workspace& workspace, bool cheap);
Result<Json> train_settings(Workspace& workspace, bool cheap);
Result<Json> evaluate_settings(Workspace& workspace, bool cheap);
Result<Json> compress_settings(Workspace& workspace, bool cheap);
Result<Json> deploy_settings(Workspace& workspace, bool cheap);

Result<StageResult> run_collect(
    StageContext& context);  // -> documents (rows with the part that their file says)
Result<StageResult> run_prepare(StageContext& context);   // documents -> rows (splits, encoder/, report.json)
Result<StageResult> run_train(StageContext& context);     // rows -> hf (folder), train_run
Result<StageResult> run_evaluate(StageContext& context);  // hf, rows -> evaluation (report.json, report.html)
Result<StageResult> run_compress(StageContext& context);  // hf, rows -> served (folder), parity
Result<StageResult> run_deploy(StageContext& context);    // all of these -> version, decision

// The task of a workspace of predictions.
const Task& task_of(const Workspace& workspace);
// [data] without the keys of splits, [model] as it stands.
Json task_data(const Workspace& workspace);
Json model_section(const Workspace& workspace);
// [model] with the name in init_from as a folder.
Result<Json> resolved_model(const Workspace& workspace);
// What depends on that folder's files; null without one.
Result<Json> init_from_settings(Workspace& workspace, bool cheap);
// The rows of a split file.
Result<std::vector<TaskRow>> read_task_rows(const Path& file);

inline constexpr const char* kEncoderFolder = "encoder";  // in the rows' folder

}  // namespace volant::predict
