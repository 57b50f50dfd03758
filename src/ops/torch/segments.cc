// Segments in training: nodes of the graph where one begins and ends, that tell how far the backward pass is,
// or one node that computes a forgotten segment again and runs its own graph backwards.
#include "ops/torch/segments.h"

#include "ops/torch/autograd.h"
#include "ops/torch/rows.h"
#include "ops/torch/torch_ops.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <c10/core/GradMode.h>

namespace volant {
namespace {

using at::Tensor;
using torch_ops::learns;
using torch_ops::with_backward;
using Gradients = std::vector<Tensor>;

// The same numbers as a node of their own, that calls `f` in the backward pass.
TorchOps::Act told(const TorchOps::Act& x, const std::function<void(int)>& f, int number) {
  if (!f || !learns({x.x()})) return x;
  return {with_backward(x.x().detach(), {x.x()}, [&f, number](const Tensor& g) {
    f(number);
    return Gradients{g};
  })};
}

}  // namespace

TorchOps::Act TorchOps::segment(const Act& x, const Segment& f) {
  if (segments_ == nullptr) return f(*this, x);
  const int number = n_segments_++;
  const bool forgets = record_ && segments_->forget;
  if (segments_->before_forward) segments_->before_forward(number);
  Act y = forgets   ? forgotten_segment(x, f, number)
          : record_ ? f(*this, told(x, segments_->after_backward, number))
                    : f(*this, x);
  (void)y.x();  // made as long as its weights are here
  if (segments_->after_forward) segments_->after_forward(number);
  return record_ && !forgets ? told(y, segments_->before_backward, number) : y;
}

TorchOps::Act TorchOps::forgotten_segment(const Act& x, const Segment& f, int number) {
  TorchOps again = *this, quiet = *this;
  quiet.record_ = false;
  quiet.forgets_ = true;
  const Tensor kept = x.x().detach();
  const Act y = f(quiet, {kept});
  n_random_ = quiet.n_random_;
  again.segments_ = nullptr;
  const bool wants_x = x.x().requires_grad();
  // A node even where `x` asks for no gradient: the weights inside may.
  return {with_backward(
      y.x(), {x.x()}, [again, kept, wants_x, f, number, segments = segments_](const Tensor& g) mutable {
        if (segments->before_backward) segments->before_backward(number);
        const Tensor leaf = kept.detach().set_requires_grad(wants_x);
        const c10::AutoGradMode recording(
            true);  // off in a backward pass; some operations are libtorch's own
        const Act made = f(again, {leaf});
        const Tensor grad_x =
            made.x().requires_grad() ? torch_ops::run_backward(made.x(), g, leaf) : Tensor();
        if (segments->after_backward) segments->after_backward(number);
        return Gradients{grad_x};
      })};
}

}  // namespace volant
