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
  double p_value = 1;        // by the test that is named first
  double adjusted_p = 1;     // Holm's correction over all figures compared
  bool paired = false;       // on the same rows
  bool same_scores = false;  // paired, and no row differs
  // p-values by name: "McNemar" (exact; of right and wrong rows), "paired bootstrap", "sign test" (of other
  // scores, by rows above and below), or of unpaired figures "intervals".
  std::vector<std::pair<std::string, double>> tests = {};
  Verdict verdict = Verdict::kNoDifferenceShown;  // of the second against the first, at 5 %
};

struct Comparison {
  EvalReport first = {}, second = {};
  std::vector<FigureComparison> figures = {};  // those that both have
};

// "McNemar", and the p-values of the others behind it: "McNemar; paired bootstrap 0.012".
std::string tests_of(const FigureComparison& figure);
// Settings, suite and rows that the two do not share, as text: name, first, second.
std::vector<std::vector<std::string>> differing_settings(const Comparison& comparison);
// kInvalidArgument when no figure stands in both reports.
Result<Comparison> compare_reports(EvalReport first, EvalReport second, uint64_t seed = 1);
// {"first", "second", "figures": {name: {"first", "second", "difference", "p_value", "adjusted_p", "paired",
// "tests": {name: p}, "verdict"}}, "settings": those that differ {name: [first, second]}}
Json to_json(const Comparison& comparison);
std::string to_html(const Comparison& comparison);

}  // namespace volant
