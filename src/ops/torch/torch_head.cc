// The language model's head and its losses, chunk by chunk of rows: the logits are never held whole.
// clang-format off: ours comes before libtorch, which has a CHECK too
#include "ops/torch/torch_ops.h"
// clang-format on

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/check.h"
#include "ops/torch/autograd.h"
#include "ops/torch/kernels.h"
#include "ops/torch/rows.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::converted;
using torch_ops::empty;
using torch_ops::In;
using torch_ops::in;
using torch_ops::is_bf16;
using torch_ops::kernels;
using torch_ops::Out;
using torch_ops::out;
using torch_ops::with_backward;
using Gradients = std::vector<Tensor>;

// `x` from row `first` on.
In rows_from(const Tensor& x, int64_t first) {
  const int64_t number_bytes = is_bf16(x) ? 2 : 4;
  return {static_cast<const char*>(x.data_ptr()) + first * x.size(1) * number_bytes, is_bf16(x)};
}

bool is_plain(const LmHead<TorchOps::Weight>& head) {
  return head.bias == nullptr && head.scale == 1 && head.softcap == 0;
}
// Of the chunk in `logits`; `capped` is undefined without a softcap.
torch_ops::HeadRows head_rows(const LmHead<TorchOps::Weight>& head, const Tensor& logits,
                              const Tensor& capped, int64_t rows, Out grad) {
  return {.logits = is_bf16(logits) ? nullptr : logits.data_ptr<float>(),
          .bias = head.bias != nullptr ? (*head.bias)->values() : nullptr,
          .scale = head.scale,
          .softcap = head.softcap,
          .capped = capped.defined() ? capped.data_ptr<float>() : nullptr,
          .rows = rows,
          .n_vocab = logits.size(1),
          .grad = grad};
}

}  // namespace

Tensor TorchOps::through_head(const Act& x_in, const LmHead<Weight>& lm_head, Logits kind,
                              const OnLogits& f) {
  const Weight& head = *lm_head.weight;
  const Tensor x = converted(x_in.x().detach(), bf16_);
  const int64_t rows = x.size(0), columns = x.size(1), n_vocab = head->shape[0];
  // Logits that nothing but their gradient comes after may be rounded, and make room for it.
  const bool rounded = kind == Logits::kForTheirLoss && bf16_ && record_ && is_plain(lm_head);
  const int64_t number_bytes = bf16_ ? 2 : 4, chunk = torch_ops::rows_of_logits(rows, n_vocab, rounded);
  Tensor logits = empty(chunk, n_vocab, rounded), capped, grad_logits, grad_x;
  if (lm_head.softcap > 0) capped = empty(chunk, n_vocab, false);
  const bool wants_x = x_in.x().requires_grad();
  if (record_) grad_logits = rounded ? logits : empty(chunk, n_vocab, bf16_);
  if (record_ && wants_x) grad_x = empty(rows, columns, bf16_);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t count = std::min(chunk, rows - begin);
    const In x_chunk = rows_from(x, begin);
    head->packed->forward(x_chunk, count, out(logits));
    const torch_ops::HeadRows finish =
        head_rows(lm_head, logits, capped, count, record_ ? out(grad_logits) : Out{});
    if (!is_plain(lm_head)) kernels().finish_logits(finish);
    f(begin, count, out(logits), finish.grad);
    if (!record_) continue;
    if (!is_plain(lm_head)) kernels().unfinish_gradient(finish);
    if (lm_head.bias != nullptr && (*lm_head.bias)->trained())
      kernels().add_rows(in(grad_logits), count, n_vocab, (*lm_head.bias)->gradient());
    if (head->trained())
      torch_ops::add_weight_gradient(in(grad_logits), x_chunk, count, n_vocab, columns, head->gradient());
    if (!wants_x) continue;
    head->packed->backward(in(grad_logits), count,
                           {static_cast<char*>(grad_x.data_ptr()) + begin * columns * number_bytes, bf16_});
  }
  if (!record_) return {};
  Tensor node = at::zeros({1}, at::kFloat);
  return with_backward(node, {x_in.x()}, [grad_x, bf16 = is_bf16(x_in.x())](const Tensor&) {
    return Gradients{grad_x.defined() ? converted(grad_x, bf16) : grad_x};
  });
}

TorchOps::Loss TorchOps::head_loss(const Act& x, const LmHead<Weight>& head, std::span<const int32_t> targets,
                                   std::span<const float> weights, float scale,
                                   std::span<double> row_losses) {
  if (aten_) return aten_head_loss(x, head, targets, weights, scale, row_losses);
  const int64_t n_vocab = (*head.weight)->shape[0];
  std::vector<double> losses(static_cast<size_t>(x.x().size(0)));
  Loss loss;
  loss.node =
      through_head(x, head, Logits::kForTheirLoss, [&](int64_t begin, int64_t count, Out logits, Out grad) {
        kernels().loss_rows({.logits = logits,
                             .rows = count,
                             .n_vocab = n_vocab,
                             .targets = targets.data() + begin,
                             .weights = weights.data() + begin,
                             .loss = losses.data() + begin,
                             .label_smoothing = regularisers_.label_smoothing,
                             .z_loss = regularisers_.z_loss,
                             .grad = grad,
                             .scale = scale});
      });
  for (const double l : losses) loss.sum += l;
  std::copy_n(losses.begin(), std::min(losses.size(), row_losses.size()), row_losses.begin());
  return loss;
}

TorchOps::DistilLoss TorchOps::distil_loss(const Act& x, const LmHead<Weight>& head, const Act& teacher_x,
                                           const LmHead<Weight>& teacher_head,
                                           std::span<const int32_t> targets, std::span<const float> weights,
                                           const Distil& how, float scale) {
  const int64_t n_vocab = (*head.weight)->shape[0], rows = x.x().size(0);
  CHECK((*teacher_head.weight)->shape[0] == n_vocab && teacher_x.x().size(0) == rows);
  if (aten_) return aten_distil_loss(x, head, teacher_x, teacher_head, targets, weights, how, scale);
  const Tensor his_x = converted(teacher_x.x().detach(), bf16_);
  Tensor his_logits = empty(torch_ops::rows_of_logits(rows, n_vocab, false), n_vocab, false);
  Tensor his_capped = teacher_head.softcap > 0 ? at::empty_like(his_logits) : Tensor();
  std::vector<double> hard(static_cast<size_t>(rows)), soft(hard.size());
  DistilLoss loss;
  loss.node = through_head(x, head, Logits::kExact, [&](int64_t begin, int64_t count, Out logits, Out grad) {
    (*teacher_head.weight)->packed->forward(rows_from(his_x, begin), count, out(his_logits));
    if (!is_plain(teacher_head))
      kernels().finish_logits(head_rows(teacher_head, his_logits, his_capped, count, {}));
    kernels().distil_rows({.logits = static_cast<float*>(logits.data),
                           .teacher = his_logits.data_ptr<float>(),
                           .rows = count,
                           .n_vocab = n_vocab,
                           .targets = targets.data() + begin,
                           .weights = weights.data() + begin,
                           .hard = hard.data() + begin,
                           .soft = soft.data() + begin,
                           .grad = grad,
                           .scale = scale,
                           .temperature = how.temperature,
                           .alpha = how.alpha,
                           .top_k = how.top_k});
  });
  for (const double each : hard) loss.hard += each;
  for (const double each : soft) loss.soft += each;
  return loss;
}

}  // namespace volant
