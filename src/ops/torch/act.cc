#include "ops/torch/act.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "ops/torch/autograd.h"
#include "ops/torch/rows.h"

namespace volant {
namespace torch_ops {
namespace {

using at::Tensor;
using Gradients = std::vector<Tensor>;

Tensor copied(const TorchAct::Columns& columns) {
  const int64_t begin = columns.begin, count = columns.count;
  const int64_t rows = columns.whole.size(0), all = columns.whole.size(1);
  const bool bf16 = is_bf16(columns.whole);
  Tensor y = empty(rows, count, bf16);
  kernels().copy_columns(in(columns.whole), all, begin, rows, count, out(y), count, 0);
  if (!columns.record || !learns({columns.whole})) return y;
  return with_backward(y, {columns.whole}, [begin, count, rows, all, bf16](const Tensor& grad) {
    const Tensor g = converted(grad, bf16);
    Tensor grad_x = at::zeros({rows, all}, type_of(bf16));
    kernels().copy_columns(in(g), count, 0, rows, count, out(grad_x), all, begin);
    return Gradients{grad_x};
  });
}

struct Made {
  Tensor y, argument;  // argument: of GELU, if there is one
};

Made multiplied(const TorchAct::Product& p, const Tensor& x) {
  const int64_t rows = x.size(0), n_out = p.w->shape[0];
  Made made{.y = empty(rows, n_out, p.bf16 && !p.residual.defined()), .argument = {}};
  if (p.gelu && p.record) made.argument = empty(rows, n_out, p.bf16);
  Finish finish{.tanh = p.gelu == Gelu::kTanh};
  if (p.bias) finish.bias = p.bias->values();
  if (p.residual.defined()) finish.residual = p.residual.data_ptr<float>();
  if (p.gelu) finish.function = Finish::Function::kGelu;
  if (made.argument.defined()) finish.argument = made.argument.data_ptr();
  if (p.takes_more())
    p.w->packed->forward(in(x), rows, finish, out(made.y));
  else
    p.w->packed->forward(in(x), rows, out(made.y));
  return made;
}

// What the gradient of a product by its input is that of: GELU's argument, if the input is one.
TorchAct::GeluOf source_of(const TorchAct::Product& p) {
  const TorchAct::GeluOf* gelu = p.takes_more() ? p.input.gelu_of() : nullptr;
  return gelu != nullptr ? *gelu : TorchAct::GeluOf{};
}

struct Backpropagation {
  Tensor x;  // what was multiplied
  std::shared_ptr<TorchParameter> w, bias;
  TorchAct::GeluOf gelu;  // of which x is the value
  bool wants_x, wants_residual, x_bf16;

  Gradients operator()(const Tensor& grad) const {
    const Tensor g = converted(grad, is_bf16(x));
    const int64_t rows = x.size(0), n_out = w->shape[0], n_in = w->shape[1];
    float* grad_bias = bias ? bias->gradient() : nullptr;
    if (w->trained())
      add_weight_gradient(in(g), in(x), rows, n_out, n_in, w->gradient(), grad_bias);
    else if (grad_bias != nullptr)
      kernels().add_rows(in(g), rows, n_out, grad_bias);
    Gradients gradients(1);
    if (wants_x) gradients[0] = by_input(g);
    if (wants_residual) gradients.push_back(converted(grad, false));
    return gradients;
  }
  Tensor by_input(const Tensor& g) const {
    Tensor grad_x = empty(x.size(0), w->shape[1], x_bf16);
    if (gelu.argument.defined())
      w->packed->backward(in(g), x.size(0),
                          {.function = Finish::Function::kGeluSlope,
                           .tanh = gelu.kind == Gelu::kTanh,
                           .argument = gelu.argument.data_ptr()},
                          out(grad_x));
    else
      w->packed->backward(in(g), x.size(0), out(grad_x));
    return grad_x;
  }
};

Made product(const TorchAct::Product& p) {
  const Tensor x = converted(p.input.x().detach(), p.bf16);
  Made made = multiplied(p, x);
  TorchAct::GeluOf gelu = source_of(p);
  const Tensor source = gelu.argument.defined() ? gelu.argument : p.input.x();
  const bool wants_x = source.requires_grad();
  const bool wants_residual = p.residual.defined() && p.residual.requires_grad();
  const bool learned = p.w->trained() || (p.bias && p.bias->trained());
  if (!p.record || !(wants_x || wants_residual || learned)) return made;
  if (gelu.argument.defined()) gelu.argument = gelu.argument.detach();
  std::vector<Tensor> inputs = {source};
  if (wants_residual) inputs.push_back(p.residual);
  Tensor& result = p.gelu ? made.argument : made.y;
  result = with_backward(result, inputs,
                         Backpropagation{x, p.w, p.bias, gelu, wants_x, wants_residual, is_bf16(source)});
  if (p.gelu) made.y = with_gelu_backward(made.y, {made.argument, *p.gelu});
  return made;
}

}  // namespace

Tensor with_gelu_backward(const Tensor& y, const TorchAct::GeluOf& of) {
  return with_backward(
      y, {of.argument}, [argument = of.argument.detach(), tanh = of.kind == Gelu::kTanh](const Tensor& grad) {
        const Tensor g = converted(grad, is_bf16(argument));
        Tensor grad_x = at::empty_like(argument);
        kernels().gelu_mul_backward(in(argument), {}, in(g), tanh, argument.numel(), out(grad_x), {});
        return Gradients{grad_x};
      });
}

}  // namespace torch_ops

struct TorchAct::State {
  at::Tensor x;  // undefined as long as nobody has read it
  std::optional<Product> product;
  std::optional<Columns> columns;
  std::optional<GeluOf> gelu_of;
};

TorchAct::TorchAct(at::Tensor x) : state_(std::make_shared<State>()) { state_->x = std::move(x); }
TorchAct::TorchAct(Columns columns) : state_(std::make_shared<State>()) {
  state_->columns = std::move(columns);
}
TorchAct::TorchAct(Product product) : state_(std::make_shared<State>()) {
  state_->product = std::move(product);
}

const at::Tensor& TorchAct::x() const {
  static const at::Tensor nothing;
  if (state_ == nullptr) return nothing;
  State& s = *state_;
  if (s.x.defined()) return s.x;
  if (s.columns) s.x = torch_ops::copied(*s.columns);
  if (s.product) {
    torch_ops::Made made = torch_ops::product(*s.product);
    s.x = std::move(made.y);
    if (made.argument.requires_grad()) s.gelu_of = {made.argument, *s.product->gelu};
    s.product.reset();
  }
  return s.x;
}

const TorchAct::Product* TorchAct::open_product() const {
  return state_ != nullptr && state_->product ? &*state_->product : nullptr;
}
const TorchAct::Columns* TorchAct::columns() const {
  return state_ != nullptr && state_->columns ? &*state_->columns : nullptr;
}
const TorchAct::GeluOf* TorchAct::gelu_of() const {
  return state_ != nullptr && state_->gelu_of ? &*state_->gelu_of : nullptr;
}

}  // namespace volant
