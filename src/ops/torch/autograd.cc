#include "ops/torch/autograd.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>

namespace volant::torch_ops {
namespace {

namespace autograd = torch::autograd;

class CallNode final : public autograd::Node {
 public:
  explicit CallNode(Backward backward) : backward_(std::move(backward)) {}
  autograd::variable_list apply(autograd::variable_list&& grads) override {
    if (!grads[0].defined()) return autograd::variable_list(num_outputs());
    return backward_(grads[0].contiguous());
  }
  void release_variables() override { backward_ = nullptr; }
  std::string name() const override { return "VolantBackward"; }

 private:
  Backward backward_;
};

}  // namespace

at::Tensor with_backward(at::Tensor result, const std::vector<at::Tensor>& inputs, Backward backward) {
  auto node = std::shared_ptr<CallNode>(new CallNode(std::move(backward)), autograd::deleteNode);
  autograd::edge_list edges;
  for (const at::Tensor& input : inputs) edges.push_back(autograd::impl::gradient_edge(input));
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
