#include "compress/convert.h"

#include "base/check.h"

namespace volant {

std::vector<std::byte> convert(const TensorView& view, DType to, std::span<const float> importance,
                               ThreadPool* pool) {
  if (view.dtype == to) return {view.bytes.begin(), view.bytes.end()};
  const int64_t columns = view.columns();
  const int64_t n_rows = columns > 0 ? view.count() / columns : 0;
  CHECK(importance.empty() || static_cast<int64_t>(importance.size()) == columns);
  const size_t from_bytes = row_bytes(view.dtype, columns), to_bytes = row_bytes(to, columns);
  CHECK(view.bytes.size() >= from_bytes * static_cast<size_t>(n_rows));
  std::vector<std::byte> out(to_bytes * static_cast<size_t>(n_rows));
  const auto some = [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(columns));
    for (auto r = static_cast<size_t>(begin); r < static_cast<size_t>(end); ++r) {
      to_f32(view.dtype, view.bytes.data() + r * from_bytes, columns, row.data());
      from_f32(to, row.data(), columns, out.data() + r * to_bytes,
               importance.empty() ? nullptr : importance.data());
    }
  };
  if (pool == nullptr) {
    some(0, n_rows);
  } else {
    pool->parallel_for(n_rows, 16, some);
  }
  return out;
}

}  // namespace volant
