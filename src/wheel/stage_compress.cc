// Compress: the trained model in the formats of the config, compared with the original, scored again.
#include "base/progress.h"
#include "wheel/exported.h"
#include "wheel/held_out.h"
#include "wheel/stages.h"

namespace volant {

Result<Json> compress_settings(Workspace& workspace, bool) {
  // The scores depend on how many documents are read.
  return Json(JsonObject{{"compress", to_json(workspace.config().compress)},
                         {"documents", workspace.config().evaluate.max_documents}});
}

Result<StageResult> run_compress(StageContext& context) {
  const WorkspaceConfig& config = context.workspace.config();
  const auto documents =
      TRY(read_documents(TRY(context.input("rows")) / kTestRows, config.evaluate.max_documents));
  const ExportedModel exported =
      TRY(export_formats(TRY(context.input("hf")), config.compress, documents, context.scratch, config.name));
  const Path parity = context.scratch / "parity.json";
  const Path scores = context.scratch / "scores.json";
  TRY(write_file_atomic(parity, dump_json_pretty(exported.parity)));
  TRY(write_file_atomic(scores, dump_json(scores_json(exported.scores))));
  StageResult result;
  result.products = {{"parity", "parity", parity}, {"scores", "scores", scores}};
  for (const ExportedModel::File& file : exported.files) {
    const bool served = file.format == exported.files.front().format;
    result.products.push_back({served ? "gguf" : "gguf_" + file.format, "gguf", file.path});
  }
  const auto number = [&](const char* key) { return json_number_or(exported.parity, key, 0).value_or(0); };
  result.detail = fmt::format("{}: {}, {:.1f} % of greedy choices the same, {:.3f} bits per byte",
                              exported.files.front().format, format_bytes(number("bytes")),
                              100 * number("greedy_agreement"), exported.bits_per_byte);
  result.summary = JsonObject{{"parity", exported.parity}, {"bits_per_byte", exported.bits_per_byte}};
  return result;
}

}  // namespace volant
