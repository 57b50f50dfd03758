#include "eval/suites/contamination.h"

#include <algorithm>

#include "base/clock.h"
#include "base/digest.h"
#include "eval/metrics/tokens.h"
#include "eval/significance.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxExamples = 1000;
constexpr uint64_t kBase = 0x9E3779B97F4A7C15;  // odd: every token keeps its weight modulo 2^64

uint64_t mix(uint64_t sum, size_t n) {
  sum += n * kBase;
  sum ^= sum >> 31;
  sum *= 0xBF58476D1CE4E5B9;
  return sum ^ (sum >> 29);
}

// Calls use(hash, first token) for every run of n tokens; a rolling polynomial over the tokens' hashes.
template <class Use>
void for_each_run(const std::vector<std::string>& tokens, size_t n, const Use& use) {
  if (tokens.size() < n) return;
  uint64_t weight = 1, sum = 0;  // kBase^(n - 1), of the token that leaves
  for (size_t i = 1; i < n; ++i) weight *= kBase;
  std::vector<uint64_t> hashes;
  hashes.reserve(tokens.size());
  for (const std::string& token : tokens) hashes.push_back(hash64(token));
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i >= n) sum -= hashes[i - n] * weight;
    sum = sum * kBase + hashes[i];
    if (i + 1 >= n) use(mix(sum, n), i + 1 - n);
  }
}

bool is_chinese(const std::vector<std::string>& tokens) {
  const auto han = std::ranges::count_if(tokens, [](const std::string& token) {
    size_t pos = 0;
    return is_han(next_code_point(token, pos));
  });
  return 2 * static_cast<size_t>(han) > tokens.size();
}

// What of a row must not be known: the question with its choices, the text it is about, a worked answer.
std::vector<std::string> segments_of(const SuiteRow& row) {
  std::string asked = row.question;
  for (const std::string& choice : row.choices) asked += "\n" + choice;
  std::vector<std::string> segments{std::move(asked), row.context};
  if (!row.references.empty()) segments.push_back(row.references.back());
  return segments;
}

std::string join(const std::vector<std::string>& tokens, size_t begin, size_t n) {
  std::string text;
  const bool chinese = is_chinese(tokens);
  for (size_t i = begin; i < begin + n; ++i) text += (text.empty() || chinese ? "" : " ") + tokens[i];
  return text;
}

}  // namespace

Result<ContaminationCheck> ContaminationCheck::of(const Suite& suite, const ContaminationOptions& options) {
  if (options.words < 5 || options.words > 100)
    return fail(ErrorCode::kInvalidArgument, "expected runs of 5 to 100 words, got {}", options.words);
  if (options.characters < 10 || options.characters > 1000)
    return fail(ErrorCode::kInvalidArgument, "expected runs of 10 to 1000 characters, got {}",
                options.characters);
  return ContaminationCheck(suite, options);
}

ContaminationCheck::ContaminationCheck(const Suite& suite, const ContaminationOptions& options)
    : options_(options) {
  for (const SuiteRow& row : suite.rows) {
    const auto number = static_cast<uint32_t>(rows_.size());
    rows_.push_back({.id = row.id});
    for (const std::string& segment : segments_of(row)) {
      const std::vector<std::string> tokens = words_and_characters(segment);
      const size_t n = is_chinese(tokens) ? options.characters : options.words;
      for_each_run(tokens, n, [&](uint64_t hash, size_t) {
        std::vector<uint32_t>& holders = runs_[hash];
        if (holders.empty() || holders.back() != number) holders.push_back(number);
        rows_.back().long_enough = true;
      });
    }
  }
}

void ContaminationCheck::add(std::string_view text, std::string_view source) {
  const std::vector<std::string> tokens = words_and_characters(text);
  bool hit = false;
  for (const size_t n : {options_.words, options_.characters}) {
    for_each_run(tokens, n, [&](uint64_t hash, size_t begin) {
      const auto found = runs_.find(hash);
      if (found == runs_.end()) return;
      hit = true;
      for (const uint32_t number : found->second) {
        Row& row = rows_[number];
        if (row.hit) continue;
        row.hit = true;
        row.source = source;
        row.matched = join(tokens, begin, n);
      }
    });
    if (options_.words == options_.characters) break;
  }
  ++texts_;
  texts_hit_ += hit ? 1 : 0;
}

Result<ContaminationReport> ContaminationCheck::report() const {
  ContaminationReport report{.rows = static_cast<int64_t>(rows_.size()), .training_texts = texts_};
  report.training_texts_hit = texts_hit_;
  for (const Row& row : rows_) {
    report.too_short += row.long_enough ? 0 : 1;
    report.hit += row.hit ? 1 : 0;
    if (row.hit && report.examples.size() < kMaxExamples)
      report.examples.push_back({row.id, row.source, row.matched});
  }
  if (report.too_short == report.rows)
    return fail(
        ErrorCode::kInvalidArgument,
        "all {} rows are shorter than {} words or {} Chinese characters: nothing can be told of them; "
        "ask for shorter runs",
        report.rows, options_.words, options_.characters);
  report.share = TRY(share_estimate(report.hit, report.rows - report.too_short));
  return report;
}

Json to_json(const ContaminationReport& report) {
  JsonArray examples;
  for (const ContaminatedRow& row : report.examples)
    examples.push_back(JsonObject{{"id", row.id}, {"source", row.source}, {"matched", row.matched}});
  return JsonObject{{"rows", report.rows},
                    {"too_short", report.too_short},
                    {"hit", report.hit},
                    {"share", to_json(report.share)},
                    {"training_texts", report.training_texts},
                    {"training_texts_hit", report.training_texts_hit},
                    {"examples", std::move(examples)}};
}

EvalReport page_of(const ContaminationReport& report, const std::string& suite) {
  EvalReport page{.title = "Questions of " + suite + " in the training texts",
                  .suite = suite,
                  .created_at = now_iso8601()};
  page.rows = report.rows;
  page.figures.push_back({"contaminated", report.share, false, report.rows - report.too_short});
  page.notes.push_back(fmt::format(
      "{} of {} training texts hold a run of a question; {} of {} questions are too short to tell. "
      "Copies are found, paraphrases are not.",
      report.training_texts_hit, report.training_texts, report.too_short, report.rows));
  ReportSection section{.key = "examples",
                        .title = "What they share",
                        .heading = {"question", "training text", "first shared run"}};
  for (const ContaminatedRow& row : report.examples)
    section.rows.push_back({row.id, row.source, row.matched});
  if (!section.rows.empty()) page.sections.push_back(std::move(section));
  return page;
}

}  // namespace volant
