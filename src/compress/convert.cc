#include "compress/convert.h"

#include "base/check.h"

namespace volant {

std::vector<std::byte> convert(const TensorView& view, DType to) {
  if (view.dtype == to) return {view.bytes.begin(), view.bytes.end()};
  const int64_t columns = view.columns();
  const int64_t n_rows = columns > 0 ? view.count() / columns : 0;
  const size_t from_bytes = row_bytes(view.dtype, columns), to_bytes = row_bytes(to, columns);
  CHECK(view.bytes.size() >= from_bytes * static_cast<size_t>(n_rows));
  std::vector<std::byte> out(to_bytes * static_cast<size_t>(n_rows));
  std::vector<float> row(static_cast<size_t>(columns));
  for (size_t r = 0; r < static_cast<size_t>(n_rows); ++r) {
    to_f32(view.dtype, view.bytes.data() + r * from_bytes, columns, row.data());
    from_f32(to, row.data(), columns, out.data() + r * to_bytes);
  }
  return out;
}

}  // namespace volant
