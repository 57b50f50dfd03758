// A suite: questions with known answers that a language model is tried on, read from the files they are
// published in or from JSON Lines of one's own. Holds questions and answers; prompts and scores are
// run_suite.h's.
//
//   format        path                                    kind      scored by
//   mmlu          folder with test/ and dev/, or one CSV  choice    accuracy
//   gsm8k         JSON Lines: question, answer "... #### n"  number  accuracy of the final number
//   humaneval     JSON Lines: prompt, test, entry_point   code      pass@1, in a sandbox
//   cmrc2018      SQuAD 1.1 JSON                          reading   exact match, F1 as CMRC 2018 has them
//   squad         SQuAD 1.1 JSON                          reading   exact match, F1 as SQuAD has them
//   choice        {"question", "choices": [..], "answer": number from 0, or letter}
//   number        {"question", "answer"}
//   answer        {"question", "answer" or "answers": [..]}    exact match, F1 as SQuAD has them
//   reading       {"context", "question", "answer" or "answers"}
//   code          as humaneval
//   text          {"prompt", "answer" or "answers"}             BLEU, chrF, ROUGE-L
//   safety        {"prompt", "expect": "refuse" or "answer"}    refusals where they are due, and where not
// Rows of one's own may have "id" and "group" (or "subject"); figures are given by group too.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/file.h"

namespace volant {

enum class SuiteKind { kChoice, kNumber, kAnswer, kReading, kCode, kText, kSafety };
// "choice", "number", ...
const char* suite_kind_name(SuiteKind kind);

inline constexpr size_t kMaxChoices = 26;
inline constexpr size_t kMaxSuiteRows = 1'000'000;

struct SuiteRow {
  std::string id = {}, group = {};
  std::string question = {};              // code: what is to be completed
  std::string context = {};               // reading
  std::vector<std::string> choices = {};  // choice
  int32_t answer = -1;                    // choice: index of the right one
  std::vector<std::string> references =
      {};  // right answers; number: as a plain number; code: a known solution
  std::string test = {}, entry_point = {};  // code
  bool refuse = true;                       // safety: what is expected; else an answer
  std::string wraps = {};                   // safety: id of the plain request in this jailbreak
};

struct Suite {
  std::string name = {}, format = {};  // "mmlu"
  SuiteKind kind = SuiteKind::kAnswer;
  std::vector<SuiteRow> rows = {};
  std::map<std::string, std::vector<SuiteRow>> examples =
      {};  // by group ("" for all): solved ones to show first
};

// `spec` is "format:path". `limit` rows are taken evenly over the suite; 0: all. Errors name file and line;
// kInvalidArgument names the nearest format.
Result<Suite> load_suite(const std::string& spec, size_t limit = 0);
// Solved rows of a file in the suite's own format, to be shown first.
Status add_examples(Suite& suite, const Path& path);

// "1,234.50" in any text of a number as "1234.5"; empty when it is none.
std::string plain_number(std::string_view text);

}  // namespace volant
