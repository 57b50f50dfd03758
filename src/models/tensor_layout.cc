#include "models/tensor_layout.h"

#include <cstring>

namespace volant {
namespace {

// GGUF's row of a head that holds Hugging Face's row `i` of it: the two halves take turns.
int64_t interleaved(int64_t i, int64_t head_dim) { return (i % (head_dim / 2)) * 2 + i / (head_dim / 2); }

std::vector<std::byte> permute(const TensorView& view, int64_t n_head, bool to_gguf) {
  const size_t row_size = view.bytes.size() / static_cast<size_t>(view.rows());
  const int64_t head_dim = view.rows() / n_head;
  std::vector<std::byte> out(view.bytes.size());
  for (int64_t row = 0; row < view.rows(); ++row) {
    const int64_t other = row / head_dim * head_dim + interleaved(row % head_dim, head_dim);
    const auto to = static_cast<size_t>(to_gguf ? other : row),
               from = static_cast<size_t>(to_gguf ? row : other);
    std::memcpy(out.data() + to * row_size, view.bytes.data() + from * row_size, row_size);
  }
  return out;
}

std::vector<std::byte> add(const TensorView& view, float amount) {
  std::vector<float> numbers = to_f32(view);
  for (float& x : numbers) x += amount;
  std::vector<std::byte> out(view.bytes.size());
  from_f32(view.dtype, numbers.data(), static_cast<int64_t>(numbers.size()), out.data());
  return out;
}

Result<std::vector<std::byte>> change(const GgufRule& rule, const TensorView& view, bool to_gguf) {
  switch (rule.layout) {
    case GgufRule::Layout::kInterleavedHeads:
      // A bias of the heads has one number a row.
      if (rule.count < 1 || view.shape.empty() || view.shape[0] % (2 * rule.count) != 0)
        return fail(ErrorCode::kParse, "expected rows for {} heads", rule.count);
      if (view.shape.size() == 1) {
        TensorView rows = view;
        rows.shape = {view.shape[0], 1};
        return permute(rows, rule.count, to_gguf);
      }
      return permute(view, rule.count, to_gguf);
    case GgufRule::Layout::kPlusOne:
      return add(view, to_gguf ? 1.0F : -1.0F);
    case GgufRule::Layout::kSame:
    case GgufRule::Layout::kSlice:
      break;
  }
  return std::vector<std::byte>(view.bytes.begin(), view.bytes.end());
}

}  // namespace

std::vector<std::byte> transposed(const TensorView& view) {
  const auto rows = static_cast<size_t>(view.shape[0]), columns = static_cast<size_t>(view.shape[1]);
  const size_t size = row_bytes(view.dtype, 1);
  std::vector<std::byte> out(view.bytes.size());
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c)
      std::memcpy(out.data() + (c * rows + r) * size, view.bytes.data() + (r * columns + c) * size, size);
  }
  return out;
}

Result<std::vector<std::byte>> from_gguf_layout(const GgufRule& rule, const TensorView& view) {
  return change(rule, view, false);
}

Result<std::vector<std::byte>> to_gguf_layout(const GgufRule& rule, const TensorView& view) {
  return change(rule, view, true);
}

Result<TensorView> slice_of(const GgufRule& rule, const TensorView& whole) {
  if (whole.shape.size() < 2 || whole.shape[0] != rule.count || rule.index < 0 || rule.index >= rule.count)
    return fail(ErrorCode::kParse, "expected {} parts along the first axis", rule.count);
  const size_t size = whole.bytes.size() / static_cast<size_t>(rule.count);
  return TensorView{whole.dtype,
                    {whole.shape.begin() + 1, whole.shape.end()},
                    whole.bytes.subspan(static_cast<size_t>(rule.index) * size, size)};
}

}  // namespace volant
