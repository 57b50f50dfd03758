#include "eval/report/ranking_report.h"

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "eval/metrics/retrieval.h"

namespace volant {
namespace {

constexpr size_t kFirst = 10;
constexpr std::array kNames{"ndcg", "ndcg_at_10", "mean_reciprocal_rank", "recall_at_10"};

Result<std::array<double, kNames.size()>> scores_of(const RankedQuery& query) {
  return std::array{TRY(ndcg(query.relevance, query.scores)),
                    TRY(ndcg(query.relevance, query.scores, kFirst)),
                    TRY(reciprocal_rank(query.relevance, query.scores)),
                    TRY(recall_at_k(query.relevance, query.scores, kFirst))};
}

}  // namespace

Result<EvalReport> ranking_report(std::span<const RankedQuery> queries, const BootstrapOptions& options) {
  if (queries.empty()) return fail(ErrorCode::kInvalidArgument, "expected at least one query, got none");
  EvalReport report{.created_at = now_iso8601(), .rows = std::ssize(queries)};
  std::array<std::vector<double>, kNames.size()> by_figure;
  int64_t n_empty = 0;  // without a relevant document
  for (const RankedQuery& query : queries) {
    report.row_ids.push_back(query.id.empty() ? std::to_string(report.row_ids.size()) : query.id);
    const auto scores = scores_of(query);
    if (!scores) return Error(scores.error()).at("query '" + report.row_ids.back() + "'");
    for (size_t f = 0; f < kNames.size(); ++f) by_figure[f].push_back((*scores)[f]);
    n_empty += std::ranges::none_of(query.relevance, [](double r) { return r > 0; }) ? 1 : 0;
  }
  const auto means = [&](RowCounts counts) {
    std::vector<Result<double>> values;
    for (const std::vector<double>& scores : by_figure) values.emplace_back(mean_of(scores, counts));
    return values;
  };
  const std::vector<Result<Estimate>> estimates = TRY(bootstrap_counts(queries.size(), means, options));
  for (size_t f = 0; f < kNames.size(); ++f) {
    report.figures.push_back({kNames[f], TRY(estimates[f])});
    report.row_scores[kNames[f]] = std::move(by_figure[f]);
  }
  if (n_empty > 0)
    report.notes.push_back(
        fmt::format("{} of {} queries have no relevant document: they count as 0", n_empty, queries.size()));
  report.settings = {{"bootstrap_samples", options.samples}, {"seed", options.seed}};
  return report;
}

}  // namespace volant
