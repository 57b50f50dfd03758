#include "ops/torch/parameter.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/check.h"
#include "ops/torch/adapter.h"
#include "ops/torch/aten.h"

namespace volant {

TorchParameter::TorchParameter() = default;
TorchParameter::~TorchParameter() = default;

std::shared_ptr<TorchParameter> make_parameter(const std::vector<int64_t>& shape, bool trained, DType dtype,
                                               TorchBackend where) {
  CHECK(dtype == DType::kF32 || where == TorchBackend::kKernels);
  CHECK(dtype == DType::kF32 || (!trained && shape.size() == 2 && shape[1] % dtype_info(dtype).block == 0));
  auto w = make_unplaced_parameter(shape, where);
  w->dtype = dtype;
  const at::TensorOptions options = torch_ops::aten::options_of(where);
  if (dtype == DType::kF32) {
    w->master = at::zeros(shape, options);
  } else {
    w->blocks.resize(row_bytes(dtype, shape[1]) * static_cast<size_t>(shape[0]));
  }
  if (trained) w->grad = at::zeros(shape, options);
  if (shape.size() == 2) w->packed.emplace(w->matrix());
  return w;
}

std::shared_ptr<TorchParameter> make_unplaced_parameter(const std::vector<int64_t>& shape,
                                                        TorchBackend where) {
  auto w = std::make_shared<TorchParameter>();
  w->shape = shape;
  w->where = where;
  return w;
}

void TorchParameter::place(const torch_ops::Block& values, const std::shared_ptr<torch_ops::Block>& gradients,
                           size_t begin) {
  CHECK(blocks.empty());
  const auto at = static_cast<int64_t>(begin);
  master = values.all().narrow(0, at, count()).view(shape);
  grad = gradients->all().narrow(0, at, count()).view(shape);
  grad_block = gradients;
  if (shape.size() == 2) packed.emplace(matrix());
}

int64_t TorchParameter::count() const {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

torch_ops::StoredMatrix TorchParameter::matrix() const {
  const void* data = blocks.empty() ? master.data_ptr() : blocks.data();
  return {data, dtype, shape.size() == 2 ? shape[0] : 1, shape.empty() ? 1 : shape.back()};
}

void TorchParameter::write(std::span<const float> numbers) {
  CHECK(static_cast<int64_t>(numbers.size()) == count());
  if (blocks.empty()) {
    torch_ops::copy_numbers(numbers, where, {values(), numbers.size()});
  } else {
    torch_ops::pack(numbers.data(), matrix(), blocks.data());
  }
  if (packed) packed->changed();
  if (adapter) adapter->changed();
}

std::vector<float> TorchParameter::read() const {
  std::vector<float> numbers(static_cast<size_t>(count()));
  if (blocks.empty()) {
    torch_ops::copy_numbers(where, {values(), numbers.size()}, numbers);
    return numbers;
  }
  torch_ops::unpack(matrix(), {numbers.data(), false});
  return numbers;
}

const at::Tensor& TorchParameter::as(at::ScalarType type) {
  if (type == at::kFloat) return master;
  if (rounded_version_ != packed->version() || !rounded_here_) {
    // A new one: the graph may keep that of before.
    if (rounded_version_ != packed->version()) rounded_ = at::empty(shape, master.options().dtype(type));
    rounded_version_ = packed->version();
    round();
  }
  return rounded_;
}

void TorchParameter::round() {
  const auto bytes = static_cast<size_t>(rounded_.numel()) * rounded_.element_size();
  if (rounded_.storage().nbytes() == 0) torch_ops::take_memory(rounded_, bytes);
  // Not rounded_ itself: what the graph keeps of it would count as changed.
  at::from_blob(rounded_.data_ptr(), rounded_.sizes(), rounded_.options()).copy_(master);
  rounded_here_ = true;
}

void TorchParameter::drop_copies() {
  if (packed) packed->drop();
  if (!rounded_here_) return;
  torch_ops::free_memory(rounded_);
  rounded_here_ = false;
}

void TorchParameter::numbers_came() {
  if (rounded_.defined() && !rounded_here_ && rounded_version_ == packed->version()) round();
}

const at::Tensor& TorchParameter::gradient_sum() const {
  if (grad_block) grad_block->make();
  return grad;
}

void TorchParameter::read_rows(std::span<const int32_t> ids, torch_ops::Out to) const {
  const auto rows = static_cast<int64_t>(ids.size());
  if (blocks.empty()) return torch_ops::kernels().embed(values(), ids.data(), rows, shape[1], to);
  std::vector<float> row(static_cast<size_t>(shape[1]));
  const size_t stored = row_bytes(dtype, shape[1]);
  const auto width = static_cast<size_t>(shape[1]) * (to.bf16 ? 2 : 4);
  for (size_t i = 0; i < ids.size(); ++i) {
    to_f32(dtype, blocks.data() + static_cast<size_t>(ids[i]) * stored, shape[1], row.data());
    from_f32(to.bf16 ? DType::kBF16 : DType::kF32, row.data(), shape[1],
             static_cast<char*>(to.data) + i * width);
  }
}

void TorchParameter::changed() {
  if (packed && trained()) packed->changed();
  if (adapter) adapter->changed();
}

uint64_t TorchParameter::bytes() const {
  return blocks.empty() ? static_cast<uint64_t>(count()) * sizeof(float) : blocks.size();
}
uint64_t TorchParameter::packed_bytes() const { return packed ? packed->packed_bytes() : 0; }

}  // namespace volant
