// Low-rank adapters beside a frozen matrix W [O, I], and the linear operation with one.
//   LoRA (Hu et al. 2021):   y = x W^T + scale * drop(x) A^T B^T,     A [r, I], B [O, r]
//   DoRA (Liu et al. 2024):  y = magnitude / |W + scale B A| * the same; |.| is the norm of a row
// rsLoRA (Kalajdzievski 2023) is LoRA with another scale. The norm of DoRA is a constant for the backward
// pass, as in section 4.3 of its paper and in PEFT. With dropout PEFT's DoRA drops from x W^T too; here that
// part stays whole.
#pragma once
#include <memory>

#include "ops/torch/parameter.h"

namespace volant {

struct TorchAdapter {
  std::shared_ptr<TorchParameter> a, b, magnitude;  // magnitude [O] of DoRA, else null
  float scale = 1;
  std::vector<float> start_a, start_b;  // what the factors began with, where that is not nothing
  float dropout = 0;                    // probability that a number of x is zero on the adapter's way

  void changed();
  // |W + scale B A| of each row, made on first use after changed().
  const std::vector<float>& norms(const TorchParameter& w);

 private:
  std::vector<float> norms_;
};

namespace torch_ops {

// How a linear operation is computed.
struct LinearMode {
  bool bf16 = false;          // the type of what goes into products
  bool record = false;        // part of the graph
  uint64_t dropout_seed = 0;  // what the dropped numbers follow from; 0: nothing is dropped
};
// y [T, O] = x [T, I] W^T with the adapter that `w` has.
at::Tensor adapted_linear(const at::Tensor& x, const std::shared_ptr<TorchParameter>& w,
                          const LinearMode& mode);

}  // namespace torch_ops
}  // namespace volant
