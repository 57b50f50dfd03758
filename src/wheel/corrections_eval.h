// Whether a model knows the corrections: its loss on them and what it answers greedily.
#pragma once
#include <string>
#include <vector>

#include "feedback/curation.h"
#include "runtime/engine.h"

namespace volant {

struct CorrectionScore {
  double loss = 0;     // nats per token of the correction
  bool exact = false;  // its greedy answer is the correction
  std::string answer;
};

Result<std::vector<CorrectionScore>> score_corrections(Engine& engine, const std::vector<CuratedRow>& rows);

struct CorrectionSummary {
  int64_t rows = 0, exact = 0, learned = 0;  // learned: exact, or nearly sure of every word
  double mean_loss = 0;
};
CorrectionSummary summarize(const std::vector<CorrectionScore>& scores);
// {"rows","loss_before","loss_after","exact_before","exact_after","learned"}
Json compare_json(const CorrectionSummary& before, const CorrectionSummary& after);
// The text of the last user turn, for examples in the report.
std::string question_of(const CuratedRow& row);
std::string correction_of(const CuratedRow& row);

}  // namespace volant
