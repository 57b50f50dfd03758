// Experts on the native backend: the choice from the router's logits, and the weighted sum of what the
// experts gave.
#include "base/check.h"
#include "ops/native/native_ops.h"

namespace volant {

Routing NativeOps::route(const Act& logits, const RouteSpec& spec) {
  CHECK(logits.columns() == spec.n_expert);
  finish();
  return make_routing(logits.numbers(), spec);
}

// Row by row over its experts in the order of choice: the sum does not depend on what else is in the batch.
NativeOps::Act NativeOps::combine(std::span<const Act> parts, const Routing& routing) {
  CHECK(static_cast<int>(parts.size()) == routing.spec.n_expert && routing.n_rows() > 0);
  const int64_t columns = parts[static_cast<size_t>(routing.chosen[0])].columns();
  Act out = make(routing.n_rows(), columns);
  const auto top_k = static_cast<size_t>(routing.spec.top_k);
  threads_.parallel_for(
      out.rows(), grain_for(kGrainNumbers, columns * routing.spec.top_k), [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          float* sum = out.row(t);
          std::fill(sum, sum + columns, 0.0F);
          for (size_t i = static_cast<size_t>(t) * top_k; i < static_cast<size_t>(t + 1) * top_k; ++i) {
            const Act& part = parts[static_cast<size_t>(routing.chosen[i])];
            const float* row = part.row(routing.place[i]);
            for (int64_t c = 0; c < columns; ++c) sum[c] += routing.weights[i] * row[c];
          }
        }
      });
  return out;
}

}  // namespace volant
