#include "ops/tape/turned.h"

namespace volant {

namespace {

// There is memory for it: the matrix itself was loaded.
NativeWeight turned(const NativeWeight& w, ThreadPool& threads) {
  const int64_t n_out = w.n_out(), n_in = w.n_in();
  std::vector<float> row(static_cast<size_t>(n_in)), to(static_cast<size_t>(n_out * n_in));
  for (int64_t o = 0; o < n_out; ++o) {
    w.read_row(o, row.data());
    for (int64_t i = 0; i < n_in; ++i) to[static_cast<size_t>(i * n_out + o)] = row[static_cast<size_t>(i)];
  }
  return NativeWeight::load({DType::kF32, {n_in, n_out}, std::as_bytes(std::span<const float>(to))}, threads)
      .value();
}

}  // namespace

NativeAct turned_product(NativeOps& native, std::span<const float> dy, int64_t columns, const TapeWeight& w) {
  if (w.turned.n_out() == 0) w.turned = turned(w.plain, native.threads());
  Batch rows;
  rows.features = dy;
  rows.feature_columns = columns;
  return native.linear(native.features(rows), w.turned);
}

}  // namespace volant
