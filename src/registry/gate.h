// The gate: may this candidate take production's place? Compares both on the
// same held-out documents, with the upper bound of a paired bootstrap, and says
// why not in plain words. The first version is held against a byte unigram.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/language_model.h"
#include "eval/report/compare.h"

namespace volant {

struct GateConfig {
  double max_bits_per_byte_increase =
      0.02;                    // the upper 95 % bound of candidate minus production must stay below
  int64_t min_documents = 20;  // fewer held-out documents prove nothing
  int bootstrap_samples = 1000;
  uint64_t seed = 1;
};

struct GateReport {
  bool passed = false;
  std::vector<std::string> reasons;  // for passing or refusing, one sentence each
  Json figures;  // {"bits_per_byte":{"candidate","reference","difference":{"value","ci95"}},...}
};
// {"passed","reasons","figures"}
Json to_json(const GateReport& report);

// Both lists score the same documents in the same order.
GateReport compare_with_production(const std::vector<DocumentScore>& candidate,
                                   const std::vector<DocumentScore>& production, const GateConfig& config);
// `texts` are the documents of `candidate`; the baseline is the byte frequencies of `training_texts`.
GateReport compare_with_unigram(const std::vector<DocumentScore>& candidate,
                                const std::vector<std::string>& texts,
                                const std::vector<std::string>& training_texts, const GateConfig& config);
// Of two evaluation reports, production's first: passes unless a figure that both have is shown to be worse,
// after correction for looking at several. On few rows nothing is shown: it refuses harm that is proved, no
// more.
GateReport compare_evaluations(const Comparison& comparison);
// Adds a further condition: its sentence goes to the reasons, behind "refused: " where it does not hold, and
// the gate passes only when it holds too.
void add_condition(GateReport& report, bool holds, const std::string& sentence);

}  // namespace volant
