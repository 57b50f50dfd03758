#include "eval/metrics/chrf.h"

#include "eval/metrics/tokens.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr double kBeta = 2;

std::vector<std::string> characters_of(std::string_view utf8) {
  std::vector<std::string> characters;
  for (const char32_t c : to_code_points(utf8)) {
    if (is_white_space(c)) continue;
    characters.emplace_back();
    append_utf8(characters.back(), c);
  }
  return characters;
}

int64_t n_ngrams(size_t length, size_t n) { return length < n ? 0 : static_cast<int64_t>(length - n + 1); }

ChrfCounts counts_of(const std::vector<std::string>& hypothesis, const std::vector<std::string>& reference) {
  ChrfCounts counts;
  for (size_t n = 1; n <= counts.matches.size(); ++n) {
    counts.reference[n - 1] = n_ngrams(reference.size(), n);
    // What no reference is long enough to confirm does not count against the hypothesis.
    counts.hypothesis[n - 1] = counts.reference[n - 1] == 0 ? 0 : n_ngrams(hypothesis.size(), n);
    counts.matches[n - 1] = common_ngrams(count_ngrams(hypothesis, n), count_ngrams(reference, n));
  }
  return counts;
}

}  // namespace

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  for (size_t n = 0; n < matches.size(); ++n) {
    hypothesis[n] += other.hypothesis[n];
    reference[n] += other.reference[n];
    matches[n] += other.matches[n];
  }
  return *this;
}

Result<ChrfCounts> chrf_counts(std::string_view hypothesis, std::span<const std::string> references) {
  if (references.empty())
    return fail(ErrorCode::kInvalidArgument, "chrF: expected at least one reference, got none");
  const std::vector<std::string> given = characters_of(hypothesis);
  ChrfCounts best;
  double best_score = -1;
  for (const std::string& reference : references) {
    const ChrfCounts counts = counts_of(given, characters_of(reference));
    if (const double score = chrf(counts); score > best_score) {
      best_score = score;
      best = counts;
    }
  }
  return best;
}

double chrf(const ChrfCounts& counts) {
  double precision = 0, recall = 0;
  int orders = 0;
  for (size_t n = 0; n < counts.matches.size(); ++n) {
    if (counts.hypothesis[n] == 0 || counts.reference[n] == 0) continue;
    const auto matches = static_cast<double>(counts.matches[n]);
    precision += matches / static_cast<double>(counts.hypothesis[n]);
    recall += matches / static_cast<double>(counts.reference[n]);
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kBeta * kBeta) * precision * recall / (kBeta * kBeta * precision + recall);
}

}  // namespace volant
