// Evaluate: the trained model on the test split, as a report for people and for programs.
#include "wheel/held_out.h"
#include "wheel/stages.h"

namespace volant {

Result<Json> evaluate_settings(Workspace& workspace, bool) { return to_json(workspace.config().evaluate); }

Result<StageResult> run_evaluate(StageContext& context) {
  const EvaluateSection& config = context.workspace.config().evaluate;
  const auto documents = TRY(read_documents(TRY(context.input("rows")) / kTestRows, config.max_documents));
  LanguageEvalOptions options;
  options.sample_prompts = config.sample_prompts;
  const LanguageEvalReport report = TRY(evaluate_model(TRY(context.input("hf")), documents, options));
  const Path folder = context.scratch / "evaluation";
  TRY(make_dirs(folder));
  const std::string title = context.workspace.config().name + ": " + context.run.id;
  TRY(write_file_atomic(folder / "report.json", dump_json_pretty(to_json(report))));
  TRY(write_file_atomic(folder / "report.html", to_html(report, title)));
  StageResult result;
  result.products = {{"evaluation", "evaluation", folder}};
  const Estimate& bits = report.all.bits_per_byte;
  result.detail = fmt::format(
      "{:.3f} bits per byte ({:.3f} to {:.3f}), {:.1f} % of next tokens right, {} documents", bits.value,
      bits.low, bits.high, 100 * report.all.next_token_accuracy.value, report.all.documents);
  result.summary = metrics_of(to_json(report));
  return result;
}

}  // namespace volant
