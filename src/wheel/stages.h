// The stages of the wheel, a file for each group. What each needs and makes is in the table of stages.cc.
#pragma once
#include "wheel/station.h"

namespace volant {

Result<Json> collect_settings(Workspace& workspace, bool cheap);
Result<Json> prepare_settings(Workspace& workspace, bool cheap);
Result<Json> tokenizer_settings(Workspace& workspace, bool cheap);
Result<Json> shards_settings(Workspace& workspace, bool cheap);
Result<Json> train_settings(Workspace& workspace, bool cheap);
Result<Json> evaluate_settings(Workspace& workspace, bool cheap);
Result<Json> compress_settings(Workspace& workspace, bool cheap);
Result<Json> deploy_settings(Workspace& workspace, bool cheap);

Result<StageResult> run_collect(StageContext& context);    // -> documents, collect_report
Result<StageResult> run_prepare(StageContext& context);    // documents -> rows (folder of splits and report)
Result<StageResult> run_tokenizer(StageContext& context);  // rows -> tokenizer (folder), tokenizer_report
Result<StageResult> run_shards(StageContext& context);     // rows, tokenizer -> shards (folder)
Result<StageResult> run_train(StageContext& context);      // shards, tokenizer -> hf (folder), train_run
Result<StageResult> run_evaluate(
    StageContext& context);  // hf, rows -> evaluation (folder: report.json, report.html)
Result<StageResult> run_compress(StageContext& context);  // hf, rows -> gguf, parity, scores, further formats
Result<StageResult> run_deploy(StageContext& context);    // all of these -> version, decision

// Files inside artifacts.
inline constexpr const char* kTrainRows = "train.jsonl.zst";
inline constexpr const char* kValidationRows = "validation.jsonl.zst";
inline constexpr const char* kTestRows = "test.jsonl.zst";

}  // namespace volant
