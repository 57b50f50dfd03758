// Two reports side by side: which figures differ, by how much, and whether that is more than chance. Rows
// that both reports have are compared in pairs; otherwise the intervals decide. Corrected for looking at
// several figures.
#pragma once
#include <string>
#include <vector>

#include "eval/report/report.h"

namespace volant {

enum class Verdict { kBetter, kWorse, kNoDifferenceShown };
const char* verdict_name(Verdict verdict);  // "better", "worse", "no difference shown"

struct FigureComparison {
  std::string name = {};
  bool higher_is_better = true;
  Estimate first = {}, second = {};
  Estimate difference = {};  // second minus first
  double p_value = 1;        // McNemar's exact test of right and wrong rows, paired bootstrap otherwise
  double adjusted_p = 1;     // Holm's correction over all figures compared
  bool paired = false;       // on the same rows
  Verdict verdict = Verdict::kNoDifferenceShown;  // of the second against the first, at 5 %
};

struct Comparison {
  EvalReport first = {}, second = {};
  std::vector<FigureComparison> figures = {};  // those that both have
};

// kInvalidArgument when no figure stands in both reports.
Result<Comparison> compare_reports(EvalReport first, EvalReport second, uint64_t seed = 1);
// {"first", "second", "figures": {name: {"first", "second", "difference", "p_value", "adjusted_p", "paired",
// "verdict"}}}
Json to_json(const Comparison& comparison);
std::string to_html(const Comparison& comparison);

}  // namespace volant
