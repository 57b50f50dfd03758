#include "ops/torch/autograd.h"

#include <ATen/ops/add.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>

#include "ops/torch/rows.h"

namespace volant::torch_ops {
namespace {

namespace autograd = torch::autograd;

// The sum of what came from each use of a result, in one pass of our own; libtorch's takes three times as
// long.
at::Tensor sum_of(const autograd::variable_list& grads) {
  at::Tensor sum;
  for (auto use = grads.rbegin(); use != grads.rend(); ++use) {
    const at::Tensor& grad = *use;
    if (!grad.defined()) continue;
    if (!sum.defined()) {
      sum = grad.contiguous();
    } else if (!grad.is_cpu()) {
      sum = at::add(sum, grad);
    } else {
      const at::Tensor both = at::empty_like(sum), more = grad.contiguous();
      kernels().add(in(sum), in(more), sum.numel(), {both.data_ptr(), is_bf16(both)});
      sum = both;
    }
  }
  return sum;
}

class CallNode final : public autograd::Node {
 public:
  explicit CallNode(Backward backward) : backward_(std::move(backward)) {}
  autograd::variable_list apply(autograd::variable_list&& grads) override {
    const at::Tensor sum = sum_of(grads);
    if (!sum.defined()) return autograd::variable_list(num_outputs());
    return backward_(sum);
  }
  void release_variables() override { backward_ = nullptr; }
  std::string name() const override { return "VolantBackward"; }

  // Where the next use of its result sends its gradient: a place of its own, so that libtorch adds up
  // nothing.
  uint32_t place_for_a_use(const at::Tensor& result) {
    return used_++ == 0 ? 0 : static_cast<uint32_t>(add_input_metadata(result));
  }

 private:
  Backward backward_;
  int used_ = 0;
};

autograd::Edge edge_to(const at::Tensor& input) {
  autograd::Edge edge = autograd::impl::gradient_edge(input);
  if (auto* call = dynamic_cast<CallNode*>(edge.function.get())) edge.input_nr = call->place_for_a_use(input);
  return edge;
}

}  // namespace

at::Tensor with_backward(at::Tensor result, const std::vector<at::Tensor>& inputs, Backward backward) {
  auto node = std::shared_ptr<CallNode>(new CallNode(std::move(backward)), autograd::deleteNode);
  autograd::edge_list edges;
  for (const at::Tensor& input : inputs) edges.push_back(edge_to(input));
  node->set_next_edges(std::move(edges));
  const uint32_t index = node->add_input_metadata(result);
  autograd::impl::set_gradient_edge(result, {std::move(node), index});
  return result;
}

void run_backward(const at::Tensor& result) { result.backward(); }

at::Tensor run_backward(const at::Tensor& result, const at::Tensor& grad, const at::Tensor& input) {
  result.backward(grad);
  return input.grad();
}

}  // namespace volant::torch_ops
