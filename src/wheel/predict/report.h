// How a model of predictions does on the rows held out for judging, and whether it may be production.
#pragma once
#include "eval/predict/evaluate.h"
#include "registry/gate.h"
#include "registry/versions.h"
#include "wheel/workspace.h"

namespace volant::predict {

// On the test rows of `rows` (the folder that prepare made).
Result<EvalReport> report_on_test(Workspace& workspace, const Path& model, const Path& rows);
// report.json and report.html in `folder`.
Status write_report(const EvalReport& report, const Path& folder);
// What a version carries of a report: its figures, not its rows.
Json metrics_of(const EvalReport& report);
// Of a candidate's report against production on the same rows; against the most frequent label, or the mean
// of the training rows, when there is no production.
Result<GateReport> gate_of(Workspace& workspace, const EvalReport& candidate, const Path& rows);

// The trained folder in the number type of [compress], with the proof that it is the same model: labels of
// the test rows by both. kRefused when fewer than 99 % of them agree. Its predictor.json has the threshold
// that [evaluate] cost chooses.
struct Served {
  Path folder;
  Json parity;
  uint64_t bytes = 0;
};
Result<Served> make_served(Workspace& workspace, const Path& hf, const Path& rows, const Path& folder);

// "accuracy 0.981 (0.978 to 0.984) on 10,000 rows"
std::string headline_of(const EvalReport& report);

}  // namespace volant::predict
