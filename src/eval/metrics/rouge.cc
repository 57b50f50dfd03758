#include "eval/metrics/rouge.h"

#include <algorithm>
#include <utility>

#include "eval/metrics/edit_distance.h"
#include "eval/metrics/tokens.h"

namespace volant {
namespace {

RougeScore score_of(int64_t common, int64_t n_summary, int64_t n_reference) {
  if (common == 0) return {};
  RougeScore score;
  score.precision = static_cast<double>(common) / static_cast<double>(n_summary);
  score.recall = static_cast<double>(common) / static_cast<double>(n_reference);
  score.f1 = 2 * score.precision * score.recall / (score.precision + score.recall);
  return score;
}

}  // namespace

Result<RougeScore> rouge_n(std::string_view summary, std::string_view reference, int n) {
  if (n < 1 || n > 9) return fail(ErrorCode::kInvalidArgument, "ROUGE: expected n from 1 to 9, got {}", n);
  const std::vector<std::string> given = words_and_characters(summary);
  const std::vector<std::string> expected = words_and_characters(reference);
  const auto order = static_cast<size_t>(n);
  const int64_t common = common_ngrams(count_ngrams(given, order), count_ngrams(expected, order));
  return score_of(common, static_cast<int64_t>(given.size()) - n + 1,
                  static_cast<int64_t>(expected.size()) - n + 1);
}

Result<RougeScore> rouge_l(std::string_view summary, std::string_view reference) {
  const std::vector<std::string> given = words_and_characters(summary);
  const std::vector<std::string> expected = words_and_characters(reference);
  if (!expected.empty() && given.size() > kMaxEditCells / expected.size())
    return fail(ErrorCode::kLimit, "ROUGE-L: expected at most {} pairs of words, got {} x {}", kMaxEditCells,
                given.size(), expected.size());
  std::vector<int64_t> row(expected.size() +
                           1);  // longest common subsequence with each beginning of expected
  for (const std::string& word : given) {
    int64_t diagonal = 0;
    for (size_t j = 0; j < expected.size(); ++j) {
      const int64_t longer = word == expected[j] ? diagonal + 1 : std::max(row[j], row[j + 1]);
      diagonal = std::exchange(row[j + 1], longer);
    }
  }
  return score_of(row.back(), static_cast<int64_t>(given.size()), static_cast<int64_t>(expected.size()));
}

}  // namespace volant
