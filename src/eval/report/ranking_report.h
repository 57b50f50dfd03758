// The report of ranked lists, a query a row: NDCG of the whole list and of its first ten, mean reciprocal
// rank, recall of the first ten (metrics/retrieval.h), means over queries with bootstrap intervals.
#pragma once
#include "eval/bootstrap.h"
#include "eval/report/report.h"

namespace volant {

struct RankedQuery {
  std::string id = {};                              // empty: its number
  std::vector<double> relevance = {}, scores = {};  // of each document: 0 or more; higher comes first
};

// kInvalidArgument for no queries, and as the metrics of a query have them, with its id.
Result<EvalReport> ranking_report(std::span<const RankedQuery> queries, const BootstrapOptions& options = {});

}  // namespace volant
