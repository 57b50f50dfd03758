#include "ops/native/weight.h"

#include "kernels/pack.h"

namespace volant {
namespace {

using Input = WeightFormat::Input;

constexpr WeightFormat kFormats[] = {
    {DType::kF32, Input::kF32, &Kernels::matmul_f32},
    {DType::kF16, Input::kF32, &Kernels::matmul_f16},
    {DType::kBF16, Input::kBF16, &Kernels::matmul_bf16},
    {DType::kQ8_0, Input::kQ8, &Kernels::matmul_q8_0},
};

const WeightFormat* find_format(DType dtype) {
  for (const WeightFormat& format : kFormats) {
    if (format.dtype == dtype) return &format;
  }
  return nullptr;
}

}  // namespace

Result<NativeWeight> NativeWeight::load(const TensorView& view, ThreadPool& pool) {
  NativeWeight weight;
  weight.format_ = find_format(view.dtype);
  if (weight.format_ == nullptr) {
    return fail(ErrorCode::kUnsupported, "weights of type {} cannot be multiplied",
                dtype_info(view.dtype).name);
  }
  const bool is_vector = view.shape.size() == 1;
  weight.n_out_ = is_vector ? view.shape[0] : view.rows();
  weight.n_in_ = is_vector ? 1 : view.columns();
  const int64_t n_out = weight.n_out_, n_in = weight.n_in_;
  const size_t matrix_bytes =
      is_vector ? static_cast<size_t>(n_out) * 4 : packed_bytes(view.dtype, n_out, n_in);
  weight.scales_at_ = (matrix_bytes + 63) / 64 * 64;
  weight.data_ = Pages(weight.scales_at_ + (is_vector ? 0 : packed_scale_bytes(view.dtype, n_out, n_in)) + 64,
                       !is_vector);
  if (weight.data_.data() == nullptr) {
    return fail(ErrorCode::kLimit, "no memory for a weight of {} bytes", matrix_bytes);
  }
  if (is_vector) {
    to_f32(view.dtype, view.bytes.data(), n_out, reinterpret_cast<float*>(weight.data_.data()));
    return weight;
  }
  std::byte* packed = weight.data_.data();
  auto* scales = reinterpret_cast<uint16_t*>(packed + weight.scales_at_);
  pool.parallel_for(panel_count(n_out), 4, [&](int64_t begin, int64_t end) {
    pack_panels(view.dtype, view.bytes.data(), n_out, n_in, begin, end, packed, scales);
  });
  return weight;
}

void NativeWeight::read_row(int64_t row, float* out) const {
  unpack_row(format_->dtype, data(), scales(), n_in_, row, out);
}

}  // namespace volant
