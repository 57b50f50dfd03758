#include "ops/torch/block.h"

#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/core/StorageImpl.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "ops/torch/tensor_at.h"

namespace volant::torch_ops {

namespace {

void replace_memory(const at::Tensor& of, size_t bytes) {
  c10::StorageImpl* storage = of.storage().unsafeGetStorageImpl();
  storage->set_data_ptr_noswap(storage->allocator()->allocate(bytes));
  storage->set_nbytes(bytes);
}

at::Tensor zeros(size_t n, TorchBackend where, const Pages& pages) {
  const auto count = static_cast<int64_t>(n);
  if (where == TorchBackend::kKernels) return at::from_blob(pages.floats(), {count}, at::kFloat);
  return at::zeros({count}, aten::options_of(where));
}

}  // namespace

void free_memory(const at::Tensor& of) { replace_memory(of, 0); }
void take_memory(const at::Tensor& of, size_t bytes) { replace_memory(of, bytes); }

Block::Block(size_t n, TorchBackend where)
    : where_(where),
      pages_(where == TorchBackend::kKernels ? n * sizeof(float) : 0),
      all_(zeros(n, where, pages_)) {}

std::span<float> Block::numbers() const {
  const auto n = static_cast<size_t>(all_.numel());
  return {here_ ? all_.data_ptr<float>() : nullptr, n};
}

void Block::free() {
  CHECK(where_ != TorchBackend::kKernels);
  if (!here_) return;
  // New memory is often that of before: whoever reads what was there is to be seen.
  if (where_ == TorchBackend::kAten) std::ranges::fill(numbers(), std::numeric_limits<float>::quiet_NaN());
  free_memory(all_);
  here_ = false;
}

void Block::make() {
  if (here_) return;
  take_memory(all_, static_cast<size_t>(all_.numel()) * sizeof(float));
  here_ = true;
  // Not all_ itself: what the graph keeps of it would count as changed.
  tensor_at(where_, numbers()).zero_();
}

}  // namespace volant::torch_ops
