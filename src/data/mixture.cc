#include "data/mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace volant {
namespace {

constexpr double kMaxRows = 1 << 26;

// How many rows of each source a pass takes.
Result<std::vector<uint64_t>> counts_of(const std::vector<MixtureSource>& sources) {
  const auto weighted =
      std::count_if(sources.begin(), sources.end(), [](const auto& s) { return s.weight != 0; });
  if (weighted != 0 && std::cmp_not_equal(weighted, sources.size()))
    return fail(ErrorCode::kInvalidArgument, "expected a 'weight' for all sources or for none");
  double per_weight = std::numeric_limits<double>::infinity(), total = 0;
  for (const MixtureSource& s : sources) {
    if (!(s.epochs > 0 && s.epochs <= 1000))
      return fail(ErrorCode::kInvalidArgument, "'epochs': expected above 0, at most 1000, got {}", s.epochs);
    if (!(s.weight >= 0 && s.weight <= 1e6))
      return fail(ErrorCode::kInvalidArgument, "'weight': expected above 0, at most 1e6, got {}", s.weight);
    if (weighted != 0) per_weight = std::min(per_weight, static_cast<double>(s.n_rows) * s.epochs / s.weight);
  }
  std::vector<uint64_t> counts;
  for (const MixtureSource& s : sources) {
    const double n = weighted != 0 ? per_weight * s.weight : static_cast<double>(s.n_rows) * s.epochs;
    total += n;
    if (total > kMaxRows) return fail(ErrorCode::kLimit, "expected at most {} rows in a pass", kMaxRows);
    counts.push_back(static_cast<uint64_t>(std::llround(n)));
  }
  return counts;
}

}  // namespace

Result<std::vector<MixtureRow>> mixture_rows(const std::vector<MixtureSource>& sources, uint64_t seed) {
  const std::vector<uint64_t> counts = TRY(counts_of(sources));
  // Each row has a place in [0, 1): its number among its source's, and a little chance for who comes first.
  std::vector<std::pair<double, MixtureRow>> placed;
  for (uint32_t s = 0; s < sources.size(); ++s) {
    Random random(seed * 0x9E3779B97F4A7C15ULL + s);
    std::vector<uint32_t> order(sources[s].n_rows);
    for (uint64_t i = 0; i < counts[s]; ++i) {
      const uint64_t at = i % order.size();
      if (at == 0 && (i == 0 || counts[s] - i < order.size())) {
        std::iota(order.begin(), order.end(), 0U);
        if (counts[s] - i < order.size())  // a part of an epoch: chance says which rows
          for (size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[random.below(k)]);
      }
      placed.push_back({(static_cast<double>(i) + random.uniform()) / static_cast<double>(counts[s]),
                        MixtureRow{s, order[at]}});
    }
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<MixtureRow> rows;
  rows.reserve(placed.size());
  for (const auto& each : placed) rows.push_back(each.second);
  return rows;
}

}  // namespace volant
