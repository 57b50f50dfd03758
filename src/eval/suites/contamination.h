// Has the model seen the questions? Looks for runs of 13 words (Brown et al. 2020) or of 50 Chinese
// characters that a suite's row and a training text share, whatever their case and punctuation. What is too
// short to tell is said to be so. Finds copies, not paraphrases or translations.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/report/report.h"
#include "eval/suites/suite.h"

namespace volant {

struct ContaminationOptions {
  size_t words = 13;       // 5 to 100
  size_t characters = 50;  // of Chinese; 10 to 1000
};

struct ContaminatedRow {
  std::string id, source, matched;  // row, training text, the first shared run
};

struct ContaminationReport {
  int64_t rows = 0, too_short = 0, hit = 0, training_texts = 0, training_texts_hit = 0;
  Estimate share = {};                         // of rows that are long enough, hit
  std::vector<ContaminatedRow> examples = {};  // in the suite's order
};

class ContaminationCheck {
 public:
  // kInvalidArgument for options out of range.
  static Result<ContaminationCheck> of(const Suite& suite, const ContaminationOptions& options = {});
  // One training text; `source` names it in the report.
  void add(std::string_view text, std::string_view source);
  Result<ContaminationReport> report() const;

 private:
  ContaminationCheck(const Suite& suite, const ContaminationOptions& options);
  struct Row {
    std::string id;
    bool long_enough = false, hit = false;
    std::string source = {}, matched = {};
  };
  ContaminationOptions options_;
  std::vector<Row> rows_;
  // Hash of a run to the rows that hold it.
  std::unordered_map<uint64_t, std::vector<uint32_t>> runs_;
  int64_t texts_ = 0, texts_hit_ = 0;
};

// {"rows", "too_short", "hit", "share": {..}, "training_texts", "training_texts_hit", "examples": [{"id",
// "source", "matched"}]}
Json to_json(const ContaminationReport& report);
// For the page; `suite` names what was looked for.
EvalReport page_of(const ContaminationReport& report, const std::string& suite);

}  // namespace volant
