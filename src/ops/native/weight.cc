#include "ops/native/weight.h"

#include "kernels/pack.h"

namespace volant {

Result<NativeWeight> NativeWeight::load(const TensorView& view, ThreadPool& pool, Shelf* shelf) {
  NativeWeight weight;
  weight.dtype_ = view.dtype;
  if (kernels().matmul[view.dtype] == nullptr) {
    return fail(ErrorCode::kUnsupported, "weights of type {} cannot be multiplied",
                dtype_info(view.dtype).name);
  }
  const bool is_vector = view.shape.size() == 1;
  weight.n_out_ = is_vector ? view.shape[0] : view.rows();
  weight.n_in_ = is_vector ? 1 : view.columns();
  const int64_t n_out = weight.n_out_, n_in = weight.n_in_;
  if (!is_vector && n_in % dtype_info(view.dtype).block != 0) {
    return fail(ErrorCode::kUnsupported, "rows of {} numbers do not divide into the blocks of {}", n_in,
                dtype_info(view.dtype).name);
  }
  const size_t matrix_bytes =
      is_vector ? static_cast<size_t>(n_out) * 4 : packed_bytes(view.dtype, n_out, n_in);
  weight.scales_at_ = (matrix_bytes + 63) / 64 * 64;
  const size_t bytes = weight.scales_at_ + (is_vector ? 0 : packed_scale_bytes(view.dtype, n_out, n_in)) + 64;
  weight.data_ = shelf != nullptr ? shelf->take(bytes) : Shelf::alone(bytes);
  if (weight.data_.data() == nullptr) {
    return fail(ErrorCode::kLimit, "no memory for a weight of {} bytes", matrix_bytes);
  }
  if (is_vector) {
    to_f32(view.dtype, view.bytes.data(), n_out, reinterpret_cast<float*>(weight.data_.data()));
    return weight;
  }
  std::byte* packed = weight.data_.data();
  pool.parallel_for(panel_count(n_out), 4, [&](int64_t begin, int64_t end) {
    pack_panels(view.dtype, view.bytes.data(), n_out, n_in, begin, end, packed, packed + weight.scales_at_);
  });
  return weight;
}

MatmulInput NativeWeight::input() const {
  if (is_quantised(dtype_)) return MatmulInput::kQ8;
  return dtype_ == DType::kBF16 ? MatmulInput::kBF16 : MatmulInput::kF32;
}

void NativeWeight::read_row(int64_t row, float* out) const {
  unpack_row(dtype_, data(), scales(), n_in_, row, out);
}

NativeWeight::NativeWeight() = default;
NativeWeight::NativeWeight(NativeWeight&&) noexcept = default;
NativeWeight& NativeWeight::operator=(NativeWeight&&) noexcept = default;
NativeWeight::~NativeWeight() = default;

void NativeWeight::add_adapter(int32_t number, std::unique_ptr<NativeAdapter> adapter) {
  const auto n = static_cast<size_t>(number);
  if (adapters_.size() < n) adapters_.resize(n);
  adapters_[n - 1] = std::move(adapter);
}

const NativeAdapter* NativeWeight::adapter(int32_t number) const {
  return number < 1 || static_cast<size_t>(number) > adapters_.size()
             ? nullptr
             : adapters_[static_cast<size_t>(number) - 1].get();
}

}  // namespace volant
