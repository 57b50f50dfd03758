// The pieces that report pages are made of: a page that stands alone (no script, no outside file; light and
// dark as the reader's system has it), cards, tables, and plots as inline SVG that carry their numbers as
// titles. Texts are escaped here; what comes out is HTML.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/report/report.h"
#include "text/escape_html.h"

namespace volant {

// `body` is HTML, title and subtitle are text.
std::string html_page(const std::string& title, const std::string& subtitle, const std::string& body);

// How numbers are written: times `factor`, `digits` after the point, then the unit.
struct NumberStyle {
  int digits = 3;
  double factor = 1;
  const char* unit = "";
};
// Shares as percent with one digit, other figures with three.
NumberStyle style_of_figure(const Figure& figure);
std::string format_number(double value, const NumberStyle& style);
// "0.790 to 0.833"
std::string format_interval(const Estimate& estimate, const NumberStyle& style);
// "exact_match" as "Exact match"; figures that have a name of their own by that: "roc_auc" as "ROC AUC".
std::string figure_title(std::string_view name);

std::string html_card(std::string_view title, const Estimate& estimate, const NumberStyle& style,
                      std::string_view note);
// First column left, the rest right. Cells are text.
std::string html_table(const std::vector<std::string>& heading,
                       const std::vector<std::vector<std::string>>& rows);

struct Bar {
  std::string name;
  Estimate estimate;
};
// Horizontal bars from 0, each with a whisker over its 95 % interval. `kind` is a colour: "bits" or "right".
std::string svg_bars(std::span<const Bar> bars, const char* kind, const NumberStyle& style);
// False against true positive rate, with the diagonal of chance.
std::string svg_roc(std::span<const CurvePoint> curve);
// Recall against precision, with the level of chance: the share of positive rows.
std::string svg_precision_recall(std::span<const CurvePoint> curve, double positive_share);
// Stated confidence against how often it was right; dots grow with their rows.
std::string svg_calibration(std::span<const CalibrationBin> bins);
// Rows are true classes, columns predicted ones; darker is a larger share of the true class.
std::string svg_confusion(const Confusion& confusion);

}  // namespace volant
