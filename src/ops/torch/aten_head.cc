// The head of a language model and its losses in libtorch's words, by chunks of rows: never all logits at
// once. Gradients are formed at once, each chunk's from a graph of its own.
#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "ops/torch/autograd.h"
#include "ops/torch/rows.h"
#include "ops/torch/torch_ops.h"

namespace volant {

using at::Tensor;
namespace aten = torch_ops::aten;

namespace {

// Of all chunks, [T], on the host.
std::vector<double> gathered(const std::vector<Tensor>& chunks) {
  const Tensor all = at::cat(chunks, 0).to(at::kDouble).cpu();
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

double sum_of(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double x : numbers) sum += x;
  return sum;
}

}  // namespace

Tensor TorchOps::through_aten_head(const Act& x_in, const LmHead<Weight>& head,
                                   std::span<const float> weights, float scale, const LossOfLogits& f) {
  const at::ScalarType type = torch_ops::type_of(bf16_);
  const Tensor x = x_in.x().detach().to(type), weight_of = aten::numbers_beside(x, weights);
  const int64_t rows = x.size(0), chunk = torch_ops::rows_of_logits(rows, (*head.weight)->shape[0], false);
  const bool wants_x = record_ && x_in.x().requires_grad();
  std::vector<Tensor> gradients;
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t count = std::min(chunk, rows - begin);
    const Tensor part = x.narrow(0, begin, count).detach().set_requires_grad(wants_x);
    const Tensor losses = f(begin, aten::head_logits(part, head, type, record_));
    if (losses.requires_grad())
      torch_ops::run_backward((losses * weight_of.narrow(0, begin, count)).sum() * scale);
    if (wants_x) gradients.push_back(part.grad());
  }
  if (!record_) return {};
  const Tensor grad_x = wants_x ? at::cat(gradients, 0).to(x_in.x().scalar_type()) : Tensor();
  return torch_ops::with_backward(at::zeros({1}, x.options().dtype(at::kFloat)), {x_in.x()},
                                  [grad_x](const Tensor&) { return std::vector<Tensor>{grad_x}; });
}

TorchOps::Loss TorchOps::aten_head_loss(const Act& x, const LmHead<Weight>& head,
                                        std::span<const int32_t> targets, std::span<const float> weights,
                                        float scale, std::span<double> row_losses) {
  const Tensor wanted = aten::ids_beside(x.x(), targets).to(at::kLong);
  std::vector<Tensor> chunks;
  Loss loss;
  loss.node = through_aten_head(x, head, weights, scale, [&](int64_t begin, const Tensor& logits) {
    Tensor losses = aten::cross_entropy(logits, wanted.narrow(0, begin, logits.size(0)),
                                        regularisers_.label_smoothing, regularisers_.z_loss);
    chunks.push_back(losses.detach());
    return losses;
  });
  std::vector<double> losses = gathered(chunks);
  for (size_t i = 0; i < losses.size(); ++i) losses[i] *= static_cast<double>(weights[i]);
  loss.sum = sum_of(losses);
  std::copy_n(losses.begin(), std::min(losses.size(), row_losses.size()), row_losses.begin());
  return loss;
}

TorchOps::DistilLoss TorchOps::aten_distil_loss(const Act& x, const LmHead<Weight>& head,
                                                const Act& teacher_x, const LmHead<Weight>& teacher_head,
                                                std::span<const int32_t> targets,
                                                std::span<const float> weights, const Distil& how,
                                                float scale) {
  const Tensor wanted = aten::ids_beside(x.x(), targets).to(at::kLong),
               his_x = teacher_x.x().detach().to(torch_ops::type_of(bf16_));
  std::vector<Tensor> hard_chunks, soft_chunks;
  DistilLoss loss;
  loss.node = through_aten_head(x, head, weights, scale, [&](int64_t begin, const Tensor& logits) {
    const int64_t count = logits.size(0);
    const Tensor his = aten::head_logits(his_x.narrow(0, begin, count), teacher_head,
                                         torch_ops::type_of(bf16_), /*record=*/false);
    const Tensor hard = aten::cross_entropy(logits, wanted.narrow(0, begin, count), 0, 0),
                 soft = aten::distance(logits, his, how.temperature, how.top_k);
    hard_chunks.push_back(hard.detach());
    soft_chunks.push_back(soft.detach());
    return soft * how.alpha + hard * (1 - how.alpha);
  });
  const std::vector<double> hard = gathered(hard_chunks), soft = gathered(soft_chunks);
  for (size_t i = 0; i < hard.size(); ++i) {
    loss.hard += hard[i] * static_cast<double>(weights[i]);
    loss.soft += soft[i] * static_cast<double>(weights[i]);
  }
  return loss;
}

}  // namespace volant
