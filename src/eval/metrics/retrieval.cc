#include "eval/metrics/retrieval.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "eval/metrics/checks.h"

namespace volant {
namespace {

// Documents of one score: ranks [begin, end) from 0 belong to them.
struct Tie {
  size_t begin, end;
  double gain;      // sum of relevance
  size_t relevant;  // documents with relevance above 0
};

Result<std::vector<Tie>> ties_of(std::span<const double> relevance, std::span<const double> scores,
                                 std::string_view metric) {
  TRY(check_rows(relevance.size(), scores.size(), metric));
  TRY(check_finite(relevance, metric));
  TRY(check_finite(scores, metric));
  for (const double r : relevance) {
    if (r < 0)
      return fail(ErrorCode::kInvalidArgument, "{}: expected relevance of 0 or more, got {}", metric, r);
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<Tie> ties;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || scores[order[i]] != scores[order[i - 1]]) ties.push_back({i, i, 0, 0});
    ties.back().end = i + 1;
    ties.back().gain += relevance[order[i]];
    ties.back().relevant += relevance[order[i]] > 0 ? 1 : 0;
  }
  return ties;
}

double discount(size_t rank) { return 1 / std::log2(static_cast<double>(rank) + 2); }

}  // namespace

Result<double> ndcg(std::span<const double> relevance, std::span<const double> scores, size_t k) {
  const std::vector<Tie> ties = TRY(ties_of(relevance, scores, "NDCG"));
  const size_t last = k == 0 ? scores.size() : std::min(k, scores.size());
  double gained = 0;
  for (const Tie& tie : ties) {
    double discounts = 0;
    for (size_t rank = tie.begin; rank < std::min(tie.end, last); ++rank) discounts += discount(rank);
    gained += discounts * tie.gain / static_cast<double>(tie.end - tie.begin);
  }
  std::vector<double> best(relevance.begin(), relevance.end());
  std::sort(best.begin(), best.end(), std::greater<>());
  double ideal = 0;
  for (size_t rank = 0; rank < last; ++rank) ideal += best[rank] * discount(rank);
  return ideal == 0 ? 0 : gained / ideal;
}

Result<double> reciprocal_rank(std::span<const double> relevance, std::span<const double> scores) {
  const std::vector<Tie> ties = TRY(ties_of(relevance, scores, "reciprocal rank"));
  for (const Tie& tie : ties) {
    // The worst case among equals: all that are not relevant come first.
    if (tie.relevant > 0) return 1 / static_cast<double>(tie.end - tie.relevant + 1);
  }
  return 0.0;
}

Result<double> recall_at_k(std::span<const double> relevance, std::span<const double> scores, size_t k) {
  const std::vector<Tie> ties = TRY(ties_of(relevance, scores, "recall@k"));
  if (k == 0) k = scores.size();
  double found = 0, all = 0;
  for (const Tie& tie : ties) {
    const auto relevant = static_cast<double>(tie.relevant);
    const size_t taken = std::clamp(k, tie.begin, tie.end) - tie.begin;
    found += relevant * static_cast<double>(taken) / static_cast<double>(tie.end - tie.begin);
    all += relevant;
  }
  return all == 0 ? 0 : found / all;
}

}  // namespace volant
