// Metrics of a ranked list, one query at a time: average them over queries (each query is a row). Documents
// are ranked by score, highest first; documents of equal score share their ranks, so that their order in
// memory decides nothing. k counts from the top; 0: the whole list. Errors of all: kInvalidArgument for an
// empty list, other lengths, values that are not finite, negative relevance.
#pragma once
#include <cstddef>
#include <span>

#include "base/result.h"

namespace volant {

// Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), linear gain and log2 discount, 0 to
// 1; 0 when nothing is relevant.
Result<double> ndcg(std::span<const double> relevance, std::span<const double> scores, size_t k = 0);
// 1 / rank of the first document with relevance above 0; 0 when none is. Among equals the worst rank counts.
Result<double> reciprocal_rank(std::span<const double> relevance, std::span<const double> scores);
// Share of the relevant documents (relevance above 0) within the first k; 0 when nothing is relevant. Of
// documents that tie across the border the expected share counts.
Result<double> recall_at_k(std::span<const double> relevance, std::span<const double> scores, size_t k);

}  // namespace volant
