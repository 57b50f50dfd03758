// A language model as judge of answers, over any OpenAI-compatible endpoint, and how far it agrees with
// people who judged the same rows: accuracy and Cohen's kappa with their intervals. A judge without that
// figure proves little.
//
// Rows: {"question", "answer", "reference"?, "human"?: true or false}       is the answer right
//       {"question", "answer_a", "answer_b", "human"?: "a", "b" or "tie"}    which answer is better
// Pairs are asked in both orders; a judge that changes its mind with the order has said "tie" (Zheng et al.
// 2023).
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/report/report.h"

namespace volant {

struct JudgeRow {
  std::string id = {}, question = {}, reference = {};
  std::vector<std::string> answers = {};  // one, or two to compare
  std::optional<int32_t> human = {};  // one answer: 0 wrong, 1 right; two: 0 tie, 1 the first, 2 the second
};
// All rows of one kind. Errors name file and line.
Result<std::vector<JudgeRow>> read_judge_rows(const std::string& path);

struct JudgeOptions {
  std::string url = {};      // "http://127.0.0.1:8080/v1"
  std::string model = {};    // as the endpoint calls it
  std::string api_key = {};  // empty: none is sent
  int max_tokens = 64;
  int timeout_seconds = 120;
  std::function<void(uint64_t done, uint64_t total)> on_progress = {};
};

struct JudgeVerdict {
  std::optional<int32_t> verdict =
      {};                 // coded as `human`; nothing where the judge gave none that can be read
  std::string said = {};  // its own words; of a pair asked twice, the first
};

struct JudgeReport {
  std::vector<JudgeRow> rows = {};
  std::vector<JudgeVerdict> verdicts = {};
  int64_t unreadable = 0, compared = 0;  // compared: rows with a verdict and a human label
  Estimate right_share = {};             // single answers judged right; of pairs: the first preferred
  std::optional<Estimate> accuracy = {},
                          kappa = {};  // against people; nothing with fewer than two compared rows, and no
                                       // kappa where these are too alike for an interval
};

// Errors: the endpoint's (kUnavailable, kTimeout, kUnauthorized...), kInvalidArgument when no verdict can be
// read.
Result<JudgeReport> judge(const std::vector<JudgeRow>& rows, const JudgeOptions& options);

// The verdict a judge's words say: the last "VERDICT: ..." or the first word alone; coded as `human`.
std::optional<int32_t> verdict_in(std::string_view words, bool pair);
// Agreement of readable verdicts with human labels; fills the report's figures.
Status measure_agreement(JudgeReport& report);

// {"rows", "unreadable", "compared", "right_share", "accuracy", "kappa", "verdicts": [{"id", "verdict",
// "human", "said"}]}
Json to_json(const JudgeReport& report);
// For the page: the figures, what could not be read, and some of the judge's words, rows on which people see
// it otherwise first.
EvalReport page_of(const JudgeReport& report, const std::string& judge);

}  // namespace volant
