// TorchAct: an activation of TorchOps, made when it is first read. Until then it may be a product that takes
// in what follows it (a bias, GELU, a residual), which are then done where its tiles are stored, or columns
// of a tensor, which an operation may read where they lie.
#pragma once
#include <memory>
#include <optional>

#include "ops/ops.h"
#include "ops/torch/parameter.h"
#include "ops/torch/tensor.h"

namespace volant {

class TorchAct {
 public:
  struct Product;
  // Columns begin ... begin + count - 1 of `whole`.
  struct Columns {
    at::Tensor whole;
    int64_t begin = 0, count = 0;
    bool record = false;  // in the graph
  };
  // Its numbers are GELU of `argument`.
  struct GeluOf {
    at::Tensor argument;
    Gelu kind = Gelu::kErf;
  };

  TorchAct() = default;
  TorchAct(at::Tensor x);  // NOLINT(google-explicit-constructor): a tensor is one
  explicit TorchAct(Columns columns);
  explicit TorchAct(Product product);

  // The numbers [rows, columns] in the graph; undefined for none.
  const at::Tensor& x() const;
  // A product that nobody has read yet; else null.
  const Product* open_product() const;
  const Columns* columns() const;
  // Once it is read: what it is GELU of, where a product that follows may start its gradient.
  const GeluOf* gelu_of() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// function(x W^T + bias) + residual with a trained or frozen W without an adapter.
struct TorchAct::Product {
  TorchAct input;
  std::shared_ptr<TorchParameter> w;
  bool bf16 = false;    // the type of what goes into it
  bool record = false;  // in the graph
  std::shared_ptr<TorchParameter> bias = nullptr;
  std::optional<Gelu> gelu = {};
  at::Tensor residual = {};  // f32, or undefined; not with GELU

  // Only then may it have more than its two factors.
  bool takes_more() const { return bf16 && w->packed->finishes(); }
};

namespace torch_ops {

// y = GELU of `argument` as a part of the graph.
at::Tensor with_gelu_backward(const at::Tensor& y, const TorchAct::GeluOf& of);

}  // namespace torch_ops
}  // namespace volant
