// The way back through a product.
#pragma once
#include "ops/tape/tape_ops.h"

namespace volant {
// dy W of rows dy [n, n_out of the weight].
NativeAct turned_product(NativeOps& native, std::span<const float> dy, int64_t columns, const TapeWeight& w);
}  // namespace volant
