#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "ops/torch/adapter.h"
#include "ops/torch/autograd.h"

namespace volant::torch_ops::aten {

at::TensorOptions options_of(TorchBackend backend) {
  return at::TensorOptions(at::kFloat).device(backend == TorchBackend::kCuda ? at::kCUDA : at::kCPU);
}

Tensor ids_beside(const Tensor& beside, std::span<const int32_t> ids) {
  const auto n = static_cast<int64_t>(ids.size());
  return at::from_blob(const_cast<int32_t*>(ids.data()), {n}, at::kInt)
      .to(beside.device(), at::kInt, false, true);
}

Tensor numbers_beside(const Tensor& beside, std::span<const float> numbers) {
  const auto n = static_cast<int64_t>(numbers.size());
  return at::from_blob(const_cast<float*>(numbers.data()), {n}, at::kFloat)
      .to(beside.device(), at::kFloat, false, true);
}

Tensor numbers_of(const Weight& w, at::ScalarType type, bool record) {
  Tensor numbers = w->as(type);
  if (!record || !w->trained()) return numbers;
  return with_backward(numbers.detach(), {}, [w](const Tensor& g) {
    w->gradient_sum().add_(g);
    return std::vector<Tensor>{};
  });
}

Tensor embed(const Weight& w, std::span<const int32_t> ids, bool record) {
  const Tensor rows = ids_beside(w->master, ids);
  Tensor y = w->master.index_select(0, rows);
  if (!record || !w->trained()) return y;
  return with_backward(y, {}, [w, rows](const Tensor& g) {
    w->gradient_sum().index_add_(0, rows, g.to(at::kFloat));
    return std::vector<Tensor>{};
  });
}

Tensor linear(const Tensor& given, const Weight& w, at::ScalarType type, bool record, uint64_t seed,
              bool base_alone) {
  const Tensor x = given.to(type);
  Tensor y = at::linear(x, numbers_of(w, type, record));
  if (!w->adapter || base_alone) return y;
  TorchAdapter& adapter = *w->adapter;
  const Tensor dropped = adapter.dropout > 0 && seed != 0 ? dropout(x, adapter.dropout, seed) : x;
  const Tensor inner = at::linear(dropped, numbers_of(adapter.a, type, record)) * adapter.scale;
  Tensor sum = y + at::linear(inner, numbers_of(adapter.b, type, record));
  if (!adapter.magnitude) return sum;
  const Tensor norms = numbers_beside(sum, adapter.norms(*w));
  return sum * (numbers_of(adapter.magnitude, at::kFloat, record) / norms).to(type);
}

std::vector<float> adapted_norms(const TorchParameter& w) {
  const TorchAdapter& adapter = *w.adapter;
  const Tensor sum = w.master + at::matmul(adapter.b->master * adapter.scale, adapter.a->master);
  const Tensor norms = sum.norm(2, 1).cpu();
  return {norms.data_ptr<float>(), norms.data_ptr<float>() + norms.numel()};
}

// Of heads, where w is that of a head.
Tensor rms_norm(const Tensor& x, const Tensor& w, float eps, float offset, at::ScalarType type) {
  const Tensor heads = x.to(at::kFloat).reshape({-1, w.size(0)});
  const Tensor inverse = heads.square().mean(1, true).add(eps).rsqrt();
  return (heads * inverse * (offset == 0 ? w : w + offset)).reshape(x.sizes()).to(type);
}

Tensor layer_norm(const Tensor& x, const Tensor& w, const Tensor& b, float eps, at::ScalarType type) {
  return at::layer_norm(x.to(at::kFloat), w.sizes(), w, b, eps).to(type);
}

Tensor silu_mul(const Tensor& gate, const Tensor& up) { return at::silu(gate) * up.to(gate.scalar_type()); }

Tensor gelu(const Tensor& x, Gelu kind) { return at::gelu(x, kind == Gelu::kTanh ? "tanh" : "none"); }

Tensor softcap(const Tensor& x, float cap) {
  return (x.to(at::kFloat) / cap).tanh().mul(cap).to(x.scalar_type());
}

Tensor dropout(const Tensor& x, float p, uint64_t seed) {
  at::manual_seed(seed);
  return at::dropout(x, p, /*train=*/true);
}

Turn turn_of(const Tensor& beside, std::span<const float> table, std::span<const int32_t> pos,
             int64_t pairs) {
  const Tensor rows = numbers_beside(beside, table)
                          .view({-1, 2 * pairs})
                          .index_select(0, ids_beside(beside, pos))
                          .unsqueeze(1);
  return {rows.narrow(2, 0, pairs), rows.narrow(2, pairs, pairs)};
}

Tensor rope(const Tensor& x, const Turn& turn, const RopeSpec& spec) {
  const Tensor heads = x.reshape({x.size(0), spec.n_head, spec.head_dim});
  const int64_t pairs = turn.cos.size(2);
  const Tensor a = heads.narrow(2, 0, pairs), b = heads.narrow(2, pairs, pairs);
  std::vector<Tensor> parts = {a * turn.cos - b * turn.sin, b * turn.cos + a * turn.sin};
  if (2 * pairs < spec.head_dim)
    parts.push_back(heads.narrow(2, 2 * pairs, spec.head_dim - 2 * pairs).to(at::kFloat));
  return at::cat(parts, 2).to(x.scalar_type()).reshape(x.sizes());
}

Tensor route_weights(const Tensor& logits, const Routing& routing) {
  const Tensor chosen = ids_beside(logits, routing.chosen).view({-1, routing.spec.top_k}).to(at::kLong);
  const Tensor z = logits.to(at::kFloat);
  switch (routing.spec.weight) {
    case RouteSpec::Weight::kShare:
      return z.softmax(1).gather(1, chosen);
    case RouteSpec::Weight::kShareOfChosen:
      return z.gather(1, chosen).softmax(1);
    case RouteSpec::Weight::kSigmoid:
      break;
  }
  return z.gather(1, chosen).sigmoid();
}

Tensor combine(std::span<const Tensor> parts, const Tensor& weights, const Routing& routing) {
  std::vector<std::vector<int32_t>> slots(
      parts.size());  // of each expert: which of the T * k weights are its
  for (size_t i = 0; i < routing.chosen.size(); ++i)
    slots[static_cast<size_t>(routing.chosen[i])].push_back(static_cast<int32_t>(i));
  const Tensor flat = weights.reshape({-1});
  Tensor sum;
  for (size_t e = 0; e < parts.size(); ++e) {
    if (slots[e].empty()) continue;
    if (!sum.defined())
      sum = at::zeros({routing.n_rows(), parts[e].size(1)}, parts[e].options().dtype(at::kFloat));
    const Tensor share = flat.index_select(0, ids_beside(flat, slots[e])).unsqueeze(1);
    sum = sum.index_add(0, ids_beside(flat, routing.rows[e]), parts[e].to(at::kFloat) * share);
  }
  return sum;
}

Tensor head_logits(const Tensor& x, const LmHead<Weight>& head, at::ScalarType type, bool record) {
  Tensor logits = at::linear(x, numbers_of(*head.weight, type, record)).to(at::kFloat);
  if (head.bias != nullptr) logits = logits + numbers_of(*head.bias, at::kFloat, record);
  if (head.scale != 1) logits = logits * head.scale;
  return head.softcap > 0 ? softcap(logits, head.softcap) : logits;
}

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, float label_smoothing, float z_loss) {
  const Tensor loss = at::cross_entropy_loss(logits, targets, {}, at::Reduction::None, -100, label_smoothing);
  return z_loss == 0 ? loss : loss + logits.logsumexp(1).square() * z_loss;
}

Tensor distance(const Tensor& logits, const Tensor& teacher, float temperature, int64_t top_k) {
  Tensor his = teacher;
  if (top_k > 0 && top_k < teacher.size(1)) {
    const auto [best, words] = teacher.topk(top_k, 1);
    his = at::full_like(teacher, -std::numeric_limits<float>::infinity()).scatter(1, words, best);
  }
  const Tensor apart = at::kl_div((logits / temperature).log_softmax(1), (his / temperature).softmax(1),
                                  at::Reduction::None, /*log_target=*/false);
  return apart.sum(1) * (temperature * temperature);
}

double measured_peak_flops(TorchBackend backend, bool bf16) {
  const int64_t n = backend == TorchBackend::kCuda ? 8192 : 1024;
  const Tensor a = at::ones({n, n}, options_of(backend).dtype(bf16 ? at::kBFloat16 : at::kFloat));
  double best = 0;
  for (int i = 0; i < 6; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const Tensor product = at::mm(a, a);
    (void)product[0][0].item<float>();  // waits for the device
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2 * std::pow(static_cast<double>(n), 3) / took.count());
  }
  return best;
}

}  // namespace volant::torch_ops::aten
