// One evaluation as a report: figures with their intervals, in all and by slice, plots, and the score of
// every row so that two reports on the same rows can be compared in pairs. As JSON and as a page that stands
// alone.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/metrics/probability.h"
#include "eval/statistics.h"

namespace volant {

struct Figure {
  std::string name = {};  // "accuracy", "pass_at_1"
  Estimate estimate = {};
  bool higher_is_better = true;
  int64_t rows = 0;  // that it is of; 0: all of its report or group
};

struct FigureGroup {
  std::string name = {};  // "high_school_biology"
  int64_t rows = 0;
  std::vector<Figure> figures = {};
};

struct Confusion {
  std::vector<std::string> classes = {};
  std::vector<int64_t> counts = {};  // [true, predicted], row-major
};

struct ReportExample {
  std::string id = {}, asked = {}, answered = {}, expected = {};
  double score = 0;
};

// A further table of figures: robustness, fairness.
struct ReportSection {
  std::string key = {}, title = {};  // name in the JSON, heading of the page
  JsonObject json = {};
  std::vector<std::string> heading = {};
  std::vector<std::vector<std::string>> rows = {};  // cells are text
  std::string plot = {};                            // HTML of html.h above the table; empty: none
};

struct EvalReport {
  std::string title = {}, model = {}, suite = {}, created_at = {};
  int64_t rows = 0;
  std::vector<Figure> figures = {};
  std::vector<FigureGroup> groups = {};
  // Scores by row for each figure that is a mean over rows, all in the order of `row_ids`; "weights" are
  // those of the rows in the means, all alike where there are none.
  std::vector<std::string> row_ids = {};
  std::map<std::string, std::vector<double>> row_scores = {};
  std::vector<CurvePoint> roc = {}, precision_recall = {};
  std::vector<CalibrationBin> calibration = {};
  Confusion confusion = {};
  std::vector<ReportSection> sections = {};
  std::vector<ReportExample> examples = {};
  std::vector<std::string> notes = {};  // what a reader must know: rows that were cut, how answers were read
  JsonObject settings = {};             // what it was run with
  // How the intervals were made, below the page.
  std::string intervals = "Intervals are 95 %: Wilson's for shares of rows, bootstrap otherwise.";
};

// {"title", "model", "suite", "created_at", "rows", "<figure>": {"value", "ci95", "better"}..., "by_group":
// {..},
//  "row_scores": {"ids": [..], "<figure>": [..]}, "plots": {"roc", "precision_recall", "calibration",
//  "confusion"}, "examples", "notes", "settings"}: figures stand at the top, as in the report of held-out
//  text that the gate reads.
Json to_json(const EvalReport& report);
// What comparing needs: title, model, figures, groups, row scores. Reads the reports of held-out text too.
Result<EvalReport> report_from_json(const Json& json);
std::string to_html(const EvalReport& report);

}  // namespace volant
