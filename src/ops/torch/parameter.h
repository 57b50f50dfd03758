// TorchParameter: a weight as training holds it. Trained: f32 numbers and an f32 gradient. Frozen: numbers
// alone, in f32 or fewer bits. A frozen matrix may carry a low-rank adapter, which is trained in its place.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ops/torch/backend.h"
#include "ops/torch/block.h"
#include "ops/torch/products.h"
#include "ops/torch/tensor.h"

namespace volant {

struct TorchAdapter;

struct TorchParameter {
  std::vector<int64_t> shape;
  TorchBackend where = TorchBackend::kKernels;
  at::Tensor master;                              // f32, contiguous; undefined when kept in fewer bits
  at::Tensor grad;                                // the same shape; undefined when frozen
  std::shared_ptr<torch_ops::Block> grad_block;   // where that one lies, if its memory goes and comes
  DType dtype = DType::kF32;                      // of what is kept
  bool follows = false;                           // a statistic that passes that train update
  std::vector<std::byte> blocks;                  // rows of that type, unless f32
  std::optional<torch_ops::PackedWeight> packed;  // two dimensions
  std::unique_ptr<TorchAdapter> adapter;          // of a frozen matrix

  TorchParameter();
  ~TorchParameter();

  int64_t count() const;
  // Where the numbers and gradients of a trained one are from now on, with what stands there: at `begin` of
  // two blocks.
  void place(const torch_ops::Block& values, const std::shared_ptr<torch_ops::Block>& gradients,
             size_t begin);
  bool trained() const { return grad.defined(); }
  // The numbers of one that is kept in f32.
  float* values() const { return master.data_ptr<float>(); }
  // The same as a tensor of another type, which is made once after they changed. For libtorch's products.
  const at::Tensor& as(at::ScalarType type);
  // Where gradients are added up: with zeros in memory that had gone.
  const at::Tensor& gradient_sum() const;
  // The same; null when frozen.
  float* gradient() const { return grad.defined() ? gradient_sum().data_ptr<float>() : nullptr; }
  torch_ops::StoredMatrix matrix() const;
  // All numbers, whatever they are kept in.
  void write(std::span<const float> numbers);
  std::vector<float> read() const;
  // Rows of a matrix, as f32 [ids.size(), columns].
  void read_rows(std::span<const int32_t> ids, torch_ops::Out to) const;
  // To be called when the numbers (or those of its adapter) were written.
  void changed();
  // Frees copies of the numbers, whose own memory goes too. They are made again when they are asked for, and
  // by numbers_came() where the graph keeps them.
  void drop_copies();
  void numbers_came();
  uint64_t bytes() const;         // of the numbers
  uint64_t packed_bytes() const;  // of their copies for products

 private:
  void round();

  at::Tensor rounded_;
  bool rounded_here_ = false;
  uint64_t rounded_version_ = 0;
};

// A trained weight that place() will give its numbers.
std::shared_ptr<TorchParameter> make_unplaced_parameter(const std::vector<int64_t>& shape,
                                                        TorchBackend where);
// A weight of zeros. `dtype` counts for a frozen matrix, whose columns must be a multiple of its block; only
// the kernels compute with another than f32.
std::shared_ptr<TorchParameter> make_parameter(const std::vector<int64_t>& shape, bool trained,
                                               DType dtype = DType::kF32,
                                               TorchBackend where = torch_backend());

}  // namespace volant
