// Experts in training: the choice, the weighted sum of what the experts gave, and the gradients of both. The
// choice itself has no gradient; the weights of the chosen have.
// clang-format off: tensor.h keeps a macro of libtorch's headers away, so it stands first
#include "ops/torch/tensor.h"
// clang-format on
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/check.h"
#include "ops/torch/autograd.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::with_backward;

Tensor plain(const Tensor& x) { return x.detach().to(at::kFloat).contiguous(); }

// The gradient of the logits [T, E] from that of the chosen weights [T, k].
//   kShareOfChosen  w_i (g_i - sum over the chosen of w g), nothing for the others
//   kShare          p_e (g_e - sum over the chosen of p g), with g_e = 0 for the others
//   kSigmoid        w (1 - w) g
Tensor logits_gradient(const Routing& routing, const Tensor& logits, const Tensor& grad) {
  const RouteSpec& spec = routing.spec;
  const int64_t rows = routing.n_rows(), n_expert = spec.n_expert, top_k = spec.top_k;
  Tensor out = at::zeros({rows, n_expert}, at::kFloat);
  const float *g = grad.data_ptr<float>(), *z = logits.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t t = 0; t < rows; ++t, g += top_k, z += n_expert, to += n_expert) {
    const float* w = routing.weights.data() + t * top_k;
    const int32_t* chosen = routing.chosen.data() + t * top_k;
    float pull = 0;
    for (int64_t i = 0; i < top_k; ++i) pull += w[i] * g[i];
    if (spec.weight == RouteSpec::Weight::kShare) {
      // p of any expert from that of the first chosen.
      for (int64_t e = 0; e < n_expert; ++e) to[e] = -w[0] * std::exp(z[e] - z[chosen[0]]) * pull;
      for (int64_t i = 0; i < top_k; ++i) to[chosen[i]] += w[i] * g[i];
    } else {
      const bool gate = spec.weight == RouteSpec::Weight::kSigmoid;
      for (int64_t i = 0; i < top_k; ++i)
        to[chosen[i]] = gate ? w[i] * (1 - w[i]) * g[i] : w[i] * (g[i] - pull);
    }
  }
  return out;
}

}  // namespace

TorchOps::Routing TorchOps::route(const Act& logits_in, const RouteSpec& spec) {
  const Tensor logits = plain(logits_in.x()).cpu();
  CHECK(logits.size(1) == spec.n_expert);
  Routing routing;
  static_cast<volant::Routing&>(routing) =
      make_routing({logits.data_ptr<float>(), static_cast<size_t>(logits.numel())}, spec);
  if (aten_) {
    routing.node = torch_ops::aten::route_weights(logits_in.x(), routing);
    return routing;
  }
  routing.node = at::empty({logits.size(0), spec.top_k}, at::kFloat);
  std::copy(routing.weights.begin(), routing.weights.end(), routing.node.data_ptr<float>());
  if (!record_) return routing;
  routing.node = with_backward(
      routing.node, {logits_in.x()},
      [logits, plan = volant::Routing(routing), type = logits_in.x().scalar_type()](const Tensor& grad) {
        return std::vector<Tensor>{logits_gradient(plan, logits, grad).to(type)};
      });
  return routing;
}

TorchOps::Act TorchOps::combine(std::span<const Act> parts, const Routing& routing) {
  CHECK(static_cast<int>(parts.size()) == routing.spec.n_expert && routing.n_rows() > 0);
  if (aten_) {
    std::vector<Tensor> all;
    for (const Act& part : parts) all.push_back(part.x());
    return {torch_ops::aten::combine(all, routing.node, routing)};
  }
  const int64_t columns = parts[static_cast<size_t>(routing.chosen[0])].x().size(1);
  const int64_t rows = routing.n_rows(), top_k = routing.spec.top_k;
  std::vector<Tensor> inputs, numbers(parts.size());
  std::vector<size_t> used;  // experts that have rows
  for (size_t e = 0; e < parts.size(); ++e) {
    if (routing.rows[e].empty()) continue;
    used.push_back(e);
    inputs.push_back(parts[e].x());
    numbers[e] = plain(parts[e].x());
  }
  Tensor sum = at::zeros({rows, columns}, at::kFloat);
#pragma omp parallel for
  for (int64_t t = 0; t < rows; ++t) {
    float* to = sum.data_ptr<float>() + t * columns;
    for (auto i = static_cast<size_t>(t * top_k); i < static_cast<size_t>((t + 1) * top_k); ++i) {
      const float* from =
          numbers[static_cast<size_t>(routing.chosen[i])].data_ptr<float>() + routing.place[i] * columns;
      for (int64_t c = 0; c < columns; ++c) to[c] += routing.weights[i] * from[c];
    }
  }
  if (!record_) return {sum};
  inputs.push_back(routing.node);
  std::vector<at::ScalarType> types;
  for (const Tensor& input : inputs) types.push_back(input.scalar_type());
  return {with_backward(
      sum, inputs,
      [plan = volant::Routing(routing), numbers, used, types, rows, columns, top_k](const Tensor& grad_in) {
        const Tensor grad = plain(grad_in);
        std::vector<Tensor> grad_parts(numbers.size());
        for (const size_t e : used) grad_parts[e] = at::empty(numbers[e].sizes(), at::kFloat);
        Tensor grad_weights = at::empty({rows, top_k}, at::kFloat);
#pragma omp parallel for
        for (int64_t t = 0; t < rows; ++t) {
          const float* g = grad.data_ptr<float>() + t * columns;
          for (auto i = static_cast<size_t>(t * top_k); i < static_cast<size_t>((t + 1) * top_k); ++i) {
            const auto e = static_cast<size_t>(plan.chosen[i]);
            const float* part = numbers[e].data_ptr<float>() + plan.place[i] * columns;
            float* to = grad_parts[e].data_ptr<float>() + plan.place[i] * columns;
            float dot = 0;
            for (int64_t c = 0; c < columns; ++c) {
              to[c] = plan.weights[i] * g[c];
              dot += part[c] * g[c];
            }
            grad_weights.data_ptr<float>()[i] = dot;
          }
        }
        std::vector<Tensor> gradients;
        for (size_t u = 0; u < used.size(); ++u) gradients.push_back(grad_parts[used[u]].to(types[u]));
        gradients.push_back(grad_weights);
        return gradients;
      })};
}

}  // namespace volant
