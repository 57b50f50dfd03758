#include "ops/torch/torch_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "ops/torch/adapter.h"
#include "ops/torch/autograd.h"
#include "ops/torch/kernels.h"
#include "ops/torch/rows.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::converted;
using torch_ops::empty;
using torch_ops::in;
using torch_ops::is_bf16;
using torch_ops::kernels;
using torch_ops::learns;
using torch_ops::out;
using torch_ops::type_of;
using torch_ops::with_backward;
using Gradients = std::vector<Tensor>;
namespace aten = torch_ops::aten;

// cos and sin of every position up to the largest in the batch: [positions, what is turned], cos first.
std::vector<float> rope_table(std::span<const int32_t> pos, const RopeSpec& spec) {
  const size_t half = spec.inv_freq.size(), d = half * 2;
  const auto n = static_cast<size_t>(pos.empty() ? 0 : *std::max_element(pos.begin(), pos.end()) + 1);
  std::vector<float> table(n * d);
  for (size_t p = 0; p < n; ++p)
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * static_cast<double>(spec.inv_freq[i]);
      table[p * d + i] = static_cast<float>(std::cos(angle)) * spec.scale;
      table[p * d + half + i] = static_cast<float>(std::sin(angle)) * spec.scale;
    }
  return table;
}

// With neither of what comes after a bias.
bool is_bare(const TorchAct::Product& product) { return !product.gelu && !product.residual.defined(); }

std::vector<int32_t> copy_of(std::span<const int32_t> ids) { return {ids.begin(), ids.end()}; }

}  // namespace

TorchOps::Weight TorchOps::make_weight(const std::vector<int64_t>& shape) {
  return make_parameter(shape, /*trained=*/true);
}

TorchOps::Act TorchOps::make_act(std::span<const float> values, int64_t rows, bool needs_grad) {
  Tensor x = empty(rows, static_cast<int64_t>(values.size()) / rows, false);
  std::copy(values.begin(), values.end(), x.data_ptr<float>());
  x.set_requires_grad(needs_grad);
  return {x};
}

std::vector<float> TorchOps::numbers(const Act& x) {
  std::vector<float> numbers(static_cast<size_t>(x.x().numel()));
  const Tensor plain = x.x().detach().cpu().contiguous();
  kernels().convert(in(plain), plain.numel(), {numbers.data(), false});
  return numbers;
}

Tensor TorchOps::with_gradient(const Act& x, std::span<const float> gradient) {
  Tensor grad_x = at::empty(x.x().sizes(), at::kFloat);
  CHECK(grad_x.numel() == static_cast<int64_t>(gradient.size()));
  std::copy(gradient.begin(), gradient.end(), grad_x.data_ptr<float>());
  return with_backward(at::zeros({1}, x.x().options().dtype(at::kFloat)), {x.x()},
                       [grad_x = grad_x.to(x.x().device()), type = x.x().scalar_type()](const Tensor&) {
                         return Gradients{grad_x.to(type)};
                       });
}

void TorchOps::regularise(const Regularisers& how, const Batch& batch, uint64_t seed) {
  regularisers_ = how;
  noisy_tokens_ = batch.tokens.data();
  noisy_begin_ = batch.seq_begin;
  noise_seed_ = seed;
}

void TorchOps::add_noise(Tensor& embedded) const {
  Random random(noise_seed_);
  const int64_t columns = embedded.size(1);
  for (size_t s = 0; s + 1 < noisy_begin_.size(); ++s) {
    const int64_t begin = noisy_begin_[s], length = noisy_begin_[s + 1] - begin;
    const double most = static_cast<double>(regularisers_.neftune_alpha) /
                        std::sqrt(static_cast<double>(std::max<int64_t>(1, length * columns)));
    float* x = embedded.data_ptr<float>() + begin * columns;
    for (int64_t i = 0; i < length * columns; ++i)
      x[i] += static_cast<float>((2 * random.uniform() - 1) * most);
  }
}

void TorchOps::shift_embeddings(const EmbeddingShift& how, const Batch& batch) {
  shift_ = how;
  shifted_tokens_ = batch.tokens.data();
  shifted_begin_ = batch.seq_begin;
}

void TorchOps::add_shift(Tensor& embedded) const {
  Random random(shift_.seed);
  const int64_t columns = embedded.size(1);
  for (size_t s = 0; s + 1 < shifted_begin_.size(); ++s) {
    const int64_t begin = shifted_begin_[s] * columns, end = shifted_begin_[s + 1] * columns;
    float* x = embedded.data_ptr<float>();
    double squares = 0;
    for (int64_t i = begin; i < end; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const auto size =
        static_cast<float>(std::sqrt(squares / static_cast<double>(std::max<int64_t>(1, end - begin))));
    for (int64_t i = begin; i < end; ++i) {
      if (std::cmp_less(i, shift_.direction.size())) x[i] += size * shift_.direction[static_cast<size_t>(i)];
      if (shift_.noise > 0) x[i] += size * shift_.noise * static_cast<float>(random.normal());
    }
  }
}

Tensor TorchOps::disturbed(const Tensor& embedded, std::span<const int32_t> ids) const {
  const bool noisy = ids.data() == noisy_tokens_ && regularisers_.neftune_alpha > 0;
  const bool shifted = ids.data() == shifted_tokens_ && (!shift_.direction.empty() || shift_.noise > 0);
  if (!noisy && !shifted) return embedded;
  const Tensor plain = embedded.detach().cpu();
  Tensor here = plain.clone();
  if (noisy) add_noise(here);
  if (shifted) add_shift(here);
  return embedded + (here - plain).to(embedded.device());
}

TorchOps::Act TorchOps::embed(const Weight& w, std::span<const int32_t> ids) {
  const bool learned = learns_inputs_ && ids.data() == learned_tokens_ && !inputs_.defined();
  if (aten_) {
    const Tensor y = disturbed(aten::embed(w, ids, record_ && !learned), ids);
    if (learned) inputs_ = y.set_requires_grad(true);
    return {y};
  }
  const auto rows = static_cast<int64_t>(ids.size());
  const int64_t columns = w->shape[1];
  Tensor y = empty(rows, columns, false);
  w->read_rows(ids, out(y));
  y = disturbed(y, ids);
  if (learned) {
    inputs_ = y.set_requires_grad(true);
    return {y};
  }
  if (!record_ || !w->trained()) return {y};
  return {with_backward(y, {}, [w, ids = copy_of(ids), rows, columns](const Tensor& g) {
    kernels().scatter_add(in(g), ids.data(), rows, columns, w->gradient());
    return Gradients{};
  })};
}

TorchOps::Act TorchOps::linear(const Act& x, const Weight& w) {
  const uint64_t seed = trains() ? draw() : 0;
  if (aten_) return {aten::linear(x.x(), w, type_of(bf16_), record_, seed, base_alone_)};
  if (w->adapter && !base_alone_)
    return {torch_ops::adapted_linear(x.x(), w, {.bf16 = bf16_, .record = record_, .dropout_seed = seed})};
  Act::Product product{.input = x, .w = w, .bf16 = bf16_, .record = record_};
  Act y(product);
  if (!product.takes_more()) (void)y.x();
  return y;
}

Tensor TorchOps::numbers_of(const Weight& w) const { return aten::numbers_of(w, at::kFloat, record_); }

const aten::Turn& TorchOps::turn_of(const Tensor& beside, const Batch& batch, const RopeSpec& spec) {
  for (const auto& known : memo_->turns)
    if (known.pos == batch.pos.data() && known.inv_freq == spec.inv_freq && known.scale == spec.scale)
      return known.turn;
  const auto pairs = static_cast<int64_t>(spec.inv_freq.size());
  memo_->turns.push_back({batch.pos.data(), spec.inv_freq, spec.scale,
                          aten::turn_of(beside, rope_table(batch.pos, spec), batch.pos, pairs)});
  return memo_->turns.back().turn;
}

const aten::AttentionPlan& TorchOps::plan_of(const Tensor& beside, const Batch& batch, bool causal) {
  for (const auto& known : memo_->plans)
    if (known.seq_begin == batch.seq_begin.data() && known.causal == causal) return known.plan;
  memo_->plans.push_back(
      {batch.seq_begin.data(), causal, aten::attention_plan(beside, batch.seq_begin, causal)});
  return memo_->plans.back().plan;
}

TorchOps::Act TorchOps::add_bias(const Act& x, const Weight& b) {
  if (aten_) return {(x.x() + numbers_of(b)).to(x.x().scalar_type())};
  if (const Act::Product* open = x.open_product(); open != nullptr && !open->bias && is_bare(*open)) {
    Act::Product with_bias = *open;
    with_bias.bias = b;
    return Act(with_bias);
  }
  const int64_t rows = x.x().size(0), columns = x.x().size(1);
  Tensor y = empty(rows, columns, is_bf16(x.x()));
  kernels().add_bias(in(x.x()), b->values(), rows, columns, out(y));
  if (!record_ || !(b->trained() || learns({x.x()}))) return {y};
  return {with_backward(y, {x.x()}, [b, rows, columns, bf16 = is_bf16(y)](const Tensor& g) {
    if (b->trained()) kernels().add_rows(in(g), rows, columns, b->gradient());
    return Gradients{converted(g, bf16)};
  })};
}

TorchOps::Act TorchOps::rms_norm(const Act& x_in, const Weight& w, float eps, float offset) {
  if (aten_) return {aten::rms_norm(x_in.x(), numbers_of(w), eps, offset, type_of(bf16_))};
  const Tensor x = x_in.x().detach();
  const int64_t columns = w->count(),
                rows = x.numel() / columns;  // of heads, where w is that of a head
  CHECK(x.size(1) % columns == 0);
  Tensor y = empty(x.size(0), x.size(1), bf16_), inverse_rms = at::empty({rows}, at::kFloat);
  kernels().rms_norm(in(x), w->values(), offset, eps, rows, columns, out(y), inverse_rms.data_ptr<float>());
  if (!record_ || !(w->trained() || learns({x_in.x()}))) return {y};
  return {with_backward(y, {x_in.x()}, [x, w, offset, inverse_rms, rows, columns](const Tensor& g) {
    Tensor grad_x = at::empty_like(x);
    Tensor scratch = at::empty({torch_ops::thread_count() * columns}, at::kFloat);
    kernels().rms_norm_backward(in(x), w->values(), offset, inverse_rms.data_ptr<float>(), in(g), rows,
                                columns, out(grad_x), w->gradient(), scratch.data_ptr<float>());
    return Gradients{grad_x};
  })};
}

TorchOps::Act TorchOps::layer_norm(const Act& x_in, const Weight& w, const Weight* b, float eps) {
  if (aten_)
    return {aten::layer_norm(x_in.x(), numbers_of(w), b == nullptr ? Tensor() : numbers_of(*b), eps,
                             type_of(bf16_))};
  const Tensor x = x_in.x().detach();
  const int64_t rows = x.size(0), columns = x.size(1);
  const Weight bias = b == nullptr ? Weight() : *b;
  Tensor y = empty(rows, columns, bf16_), moments = at::empty({rows, 2}, at::kFloat);
  kernels().layer_norm(in(x), w->values(), bias ? bias->values() : nullptr, eps, rows, columns, out(y),
                       moments.data_ptr<float>());
  if (!record_ || !(w->trained() || (bias && bias->trained()) || learns({x_in.x()}))) return {y};
  return {with_backward(y, {x_in.x()}, [x, w, bias, moments, rows, columns](const Tensor& g) {
    Tensor grad_x = at::empty_like(x);
    Tensor scratch = at::empty({int64_t{2} * torch_ops::thread_count() * columns}, at::kFloat);
    kernels().layer_norm_backward(in(x), w->values(), moments.data_ptr<float>(), in(g), rows, columns,
                                  out(grad_x), w->gradient(), bias ? bias->gradient() : nullptr,
                                  scratch.data_ptr<float>());
    return Gradients{grad_x};
  })};
}

TorchOps::Act TorchOps::rope(const Act& x_in, const Batch& batch, const RopeSpec& spec) {
  if (aten_) return {aten::rope(x_in.x(), turn_of(x_in.x(), batch, spec), spec)};
  const Tensor x = x_in.x().detach();
  const int64_t rows = x.size(0);
  auto table = std::make_shared<const std::vector<float>>(rope_table(batch.pos, spec));
  Tensor y = empty(rows, x.size(1), is_bf16(x));
  const auto n_turned = static_cast<int>(2 * spec.inv_freq.size());
  kernels().rope(in(x), table->data(), batch.pos.data(), rows, spec.n_head, spec.head_dim, n_turned, false,
                 out(y));
  if (!record_ || !learns({x_in.x()})) return {y};
  return {with_backward(y, {x_in.x()},
                        [table, pos = copy_of(batch.pos), rows, n_head = spec.n_head,
                         head_dim = spec.head_dim, n_turned, bf16 = is_bf16(x)](const Tensor& g) {
                          Tensor grad_x = empty(rows, g.size(1), bf16);
                          kernels().rope(in(g), table->data(), pos.data(), rows, n_head, head_dim, n_turned,
                                         true, out(grad_x));
                          return Gradients{grad_x};
                        })};
}

TorchOps::Act TorchOps::silu_mul(const Act& gate_in, const Act& up_in) {
  if (aten_) return {aten::silu_mul(gate_in.x(), up_in.x())};
  const bool bf16 = is_bf16(gate_in.x());
  const Tensor gate = gate_in.x().detach(), up = converted(up_in.x().detach(), bf16);
  Tensor y = empty(gate.size(0), gate.size(1), bf16);
  kernels().silu_mul(in(gate), in(up), gate.numel(), out(y));
  if (!record_ || !learns({gate_in.x(), up_in.x()})) return {y};
  return {with_backward(y, {gate_in.x(), up_in.x()}, [gate, up, bf16](const Tensor& grad) {
    const Tensor g = converted(grad, bf16);
    Tensor grad_gate = at::empty_like(gate), grad_up = at::empty_like(gate);
    kernels().silu_mul_backward(in(gate), in(up), in(g), gate.numel(), out(grad_gate), out(grad_up));
    return Gradients{grad_gate, grad_up};
  })};
}

TorchOps::Act TorchOps::gelu_mul(const Act& gate_in, const Act& up_in, Gelu kind) {
  if (aten_) return {aten::gelu(gate_in.x(), kind) * up_in.x().to(gate_in.x().scalar_type())};
  const bool bf16 = is_bf16(gate_in.x()), tanh = kind == Gelu::kTanh;
  const Tensor gate = gate_in.x().detach(), up = converted(up_in.x().detach(), bf16);
  Tensor y = at::empty_like(gate);
  kernels().gelu_mul(in(gate), in(up), tanh, gate.numel(), out(y));
  if (!record_ || !learns({gate_in.x(), up_in.x()})) return {y};
  return {with_backward(y, {gate_in.x(), up_in.x()}, [gate, up, bf16, tanh](const Tensor& grad) {
    const Tensor g = converted(grad, bf16);
    Tensor grad_gate = at::empty_like(gate), grad_up = at::empty_like(gate);
    kernels().gelu_mul_backward(in(gate), in(up), in(g), tanh, gate.numel(), out(grad_gate), out(grad_up));
    return Gradients{grad_gate, grad_up};
  })};
}

TorchOps::Act TorchOps::gelu(const Act& x_in, Gelu kind) {
  if (aten_) return {aten::gelu(x_in.x(), kind)};
  if (const Act::Product* open = x_in.open_product(); open != nullptr && is_bare(*open)) {
    Act::Product with_gelu = *open;
    with_gelu.gelu = kind;
    return Act(with_gelu);
  }
  const Tensor& x = x_in.x();
  Tensor y = at::empty_like(x.detach());
  kernels().gelu_mul(in(x), {}, kind == Gelu::kTanh, x.numel(), out(y));
  if (!record_ || !learns({x})) return {y};
  return {torch_ops::with_gelu_backward(y, {x, kind})};
}

TorchOps::Act TorchOps::softcap(const Act& x_in, float cap) {
  if (aten_) return {aten::softcap(x_in.x(), cap)};
  const Tensor x = x_in.x().detach();
  Tensor y = at::empty_like(x);
  kernels().softcap(in(x), cap, x.numel(), out(y));
  if (!record_ || !learns({x_in.x()})) return {y};
  const Tensor kept = y.detach();
  return {with_backward(y, {x_in.x()}, [kept, cap](const Tensor& grad) {
    const Tensor g = converted(grad, is_bf16(kept));
    Tensor grad_x = at::empty_like(kept);
    kernels().softcap_backward(in(kept), cap, in(g), kept.numel(), out(grad_x));
    return Gradients{grad_x};
  })};
}

TorchOps::Act TorchOps::scale(const Act& x, float factor) {
  if (aten_) return {x.x() * factor};
  const bool bf16 = is_bf16(x.x());
  Tensor y = empty(x.x().size(0), x.x().size(1), bf16);
  kernels().scale(in(x.x()), factor, y.numel(), out(y));
  if (!record_ || !learns({x.x()})) return {y};
  return {with_backward(y, {x.x()}, [factor, bf16](const Tensor& grad) {
    const Tensor g = converted(grad, bf16);
    Tensor grad_x = at::empty_like(g);
    kernels().scale(in(g), factor, g.numel(), out(grad_x));
    return Gradients{grad_x};
  })};
}

TorchOps::Act TorchOps::add(const Act& x, const Act& y) {
  if (aten_) return {x.x() + y.x()};
  const bool x_bf16 = is_bf16(x.x());
  if (const Act::Product* open = y.open_product(); open != nullptr && is_bare(*open) && !x_bf16) {
    Act::Product with_residual = *open;
    with_residual.residual = x.x();
    return Act(with_residual);
  }
  const bool y_bf16 = is_bf16(y.x());
  Tensor sum = empty(x.x().size(0), x.x().size(1), x_bf16 && y_bf16);
  kernels().add(in(x.x()), in(y.x()), sum.numel(), out(sum));
  if (!record_ || !learns({x.x(), y.x()})) return {sum};
  return {with_backward(sum, {x.x(), y.x()}, [x_bf16, y_bf16](const Tensor& g) {
    return Gradients{converted(g, x_bf16), converted(g, y_bf16)};
  })};
}

TorchOps::Act TorchOps::take_rows(const Act& x, std::span<const int32_t> ids) {
  const int64_t all = x.x().size(0), columns = x.x().size(1), rows = static_cast<int64_t>(ids.size());
  // Ascending and distinct: as many as there are means all of them in order.
  if (rows == all && std::is_sorted(ids.begin(), ids.end(), std::less_equal<>())) return x;
  if (aten_) return {x.x().index_select(0, aten::ids_beside(x.x(), ids))};
  Tensor y = empty(rows, columns, is_bf16(x.x()));
  kernels().take_rows(in(x.x()), ids.data(), rows, columns, out(y));
  if (!record_ || !learns({x.x()})) return {y};
  return {with_backward(y, {x.x()},
                        [ids = copy_of(ids), all, rows, columns, bf16 = is_bf16(x.x())](const Tensor& g) {
                          Tensor grad_x = at::zeros({all, columns}, at::kFloat);
                          kernels().scatter_add(in(g), ids.data(), rows, columns, grad_x.data_ptr<float>());
                          return Gradients{converted(grad_x, bf16)};
                        })};
}

TorchOps::Act TorchOps::take_columns(const Act& x, int64_t begin, int64_t count) {
  CHECK(begin >= 0 && begin + count <= x.x().size(1));
  if (aten_) return {x.x().narrow(1, begin, count)};
  return Act(Act::Columns{x.x(), begin, count, record_});
}

}  // namespace volant
