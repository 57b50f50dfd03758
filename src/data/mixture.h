// Mixture: one pass over several sources of rows, interleaved in an order that the seed fixes.
#pragma once
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace volant {

struct MixtureSource {
  uint64_t n_rows = 0;
  double epochs = 1;  // a pass over the mixture takes each row so often, at most when there are weights
  double weight = 0;  // share of the pass's rows, relative to the others'; 0: by rows and epochs alone
};

struct MixtureRow {
  uint32_t source = 0, row = 0;
  bool operator==(const MixtureRow&) const = default;
};

// With weights (all sources or none have one), the pass is the longest in which the rows have these shares
// and no source is taken more often than its epochs. Of a part of an epoch, the seed says which rows. Each
// source's rows come in the same spacing all along the pass. kLimit: more than 2^26 rows.
Result<std::vector<MixtureRow>> mixture_rows(const std::vector<MixtureSource>& sources, uint64_t seed);

}  // namespace volant
