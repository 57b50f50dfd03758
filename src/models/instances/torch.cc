#include "models/instances/torch.h"

#include <algorithm>
#include <exception>

#include "models/llama.h"
#include "ops/torch/autograd.h"
#include "ops/torch/memory.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

static_assert(Ops<TorchOps>);

// Runs f; what libtorch or oneDNN throws becomes an error.
template <class F>
auto guarded(F&& f) -> Result<decltype(f())> {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kLimit, "out of memory; a smaller micro_batch_tokens needs less");
  } catch (const std::exception& e) {
    return fail(ErrorCode::kInternal, "libtorch: {}", e.what());
  }
}

Status check_ids(std::span<const int32_t> ids, int64_t n, const char* what) {
  for (const int32_t id : ids)
    if (id < 0 || id >= n)
      return fail(ErrorCode::kInvalidArgument, "expected {} below {}, got {}", what, n, id);
  return {};
}

}  // namespace

int prepare_torch(int n_threads) {
  torch_ops::set_thread_count(n_threads);
  torch_ops::use_block_cache();
  return torch_ops::thread_count();
}
bool torch_has_bf16() { return torch_ops::has_bf16(); }
std::string torch_isa() { return torch_ops::kernels().isa; }
Result<double> torch_peak_flops(bool bf16) {
  return guarded([&] { return torch_ops::measured_peak_flops(bf16); });
}

struct TorchLlama::State {
  State(const LlamaConfig& config, bool in_bf16) : model(config), bf16(in_bf16) {}
  Llama<TorchOps> model;
  bool bf16;
  std::vector<TorchOps::Weight> weights;
  std::vector<Parameter> parameters;

  Status check(const Batch& batch, std::span<const int32_t> targets) const {
    TRY(check_ids(batch.tokens, model.config().vocab_size, "token ids"));
    TRY(check_ids(targets, model.config().vocab_size, "target ids"));
    return check_ids(batch.out_rows, batch.n_rows(), "rows to read out");
  }
};

TorchLlama::TorchLlama(std::unique_ptr<State> state) : state_(std::move(state)) {}
TorchLlama::TorchLlama(TorchLlama&&) noexcept = default;
TorchLlama& TorchLlama::operator=(TorchLlama&&) noexcept = default;
TorchLlama::~TorchLlama() = default;

Result<TorchLlama> TorchLlama::create(const LlamaConfig& config, bool bf16) {
  return guarded([&] {
    auto state = std::make_unique<State>(config, bf16);
    Llama<TorchOps>::visit(state->model, [&](const std::string& name, const std::vector<int64_t>& shape,
                                             TorchOps::Weight& weight) {
      weight = TorchOps::make_weight(shape);
      const auto n = static_cast<size_t>(weight->master.numel());
      state->weights.push_back(weight);
      state->parameters.push_back({name, shape, {weight->values(), n}, {weight->gradient(), n}});
    });
    return TorchLlama(std::move(state));
  });
}

const LlamaConfig& TorchLlama::config() const { return state_->model.config(); }
std::span<const TorchLlama::Parameter> TorchLlama::parameters() const { return state_->parameters; }

void TorchLlama::weights_changed() {
  for (const TorchOps::Weight& weight : state_->weights)
    if (weight->packed) weight->packed->changed();
}
void TorchLlama::zero_gradients() {
  for (const Parameter& p : state_->parameters) std::fill(p.gradient.begin(), p.gradient.end(), 0.0F);
}

Result<double> TorchLlama::loss(const Batch& batch, std::span<const int32_t> targets,
                                std::span<const float> weights) const {
  TRY(state_->check(batch, targets));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/false);
    return ops.head_loss(state_->model.hidden(ops, batch), state_->model.head(), targets, weights, 1.0F).sum;
  });
}

Result<double> TorchLlama::loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                             std::span<const float> weights, float scale) {
  TRY(state_->check(batch, targets));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/true);
    const TorchOps::Loss loss =
        ops.head_loss(state_->model.hidden(ops, batch), state_->model.head(), targets, weights, scale);
    torch_ops::run_backward(loss.node);
    return loss.sum;
  });
}

Result<std::vector<float>> TorchLlama::logits(const Batch& batch) const {
  TRY(state_->check(batch, {}));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/false);
    const at::Tensor logits = state_->model.logits(ops, batch).x;
    std::vector<float> numbers(static_cast<size_t>(logits.numel()));
    const bool is_bf16 = logits.scalar_type() == at::kBFloat16;
    torch_ops::kernels().convert({logits.data_ptr(), is_bf16}, logits.numel(), {numbers.data(), false});
    return numbers;
  });
}

}  // namespace volant
