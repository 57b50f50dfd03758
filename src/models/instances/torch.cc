#include "models/instances/torch.h"

#include <algorithm>
#include <exception>

#include "models/family.h"
#include "models/make_model.h"
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

struct TorchModel::State {
  State(const ModelConfig& config_in, const TorchOptions& options)
      : config(config_in),
        model(make_model<TorchOps>(config_in)),
        bf16(options.bf16),
        regularisers{options.label_smoothing, options.z_loss, options.neftune_alpha} {}
  ModelConfig config;
  std::unique_ptr<Model<TorchOps>> model;
  bool bf16;
  Regularisers regularisers;
  uint64_t step_seed = 0, n_passes = 0;  // of this step
  std::vector<TorchOps::Weight> weights;
  std::vector<Parameter> parameters, frozen;

  // Another one for each pass of a step.
  uint64_t next_seed() { return step_seed * 0x9E3779B97F4A7C15ULL + ++n_passes; }

  Status check(const Batch& batch) const {
    TRY(check_ids(batch.tokens, config.vocab_size, "token ids"));
    if (config.family->has_learned_positions)
      TRY(check_ids(batch.pos, config.max_position_embeddings, "positions"));
    return check_ids(batch.out_rows, batch.n_rows(), "rows to read out");
  }
  // The rows read out, ready for the head.
  Result<LmHead<TorchOps::Weight>> head_for(const Batch& batch, std::span<const int32_t> targets) const {
    TRY(check(batch));
    TRY(check_ids(targets, config.vocab_size, "target ids"));
    const LmHead<TorchOps::Weight> head = model->lm_head();
    if (head.weight == nullptr)
      return fail(ErrorCode::kInvalidArgument, "{} is no language model: it has no next token to predict",
                  config.architecture);
    return head;
  }
};

TorchModel::TorchModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
TorchModel::TorchModel(TorchModel&&) noexcept = default;
TorchModel& TorchModel::operator=(TorchModel&&) noexcept = default;
TorchModel::~TorchModel() = default;

Result<TorchModel> TorchModel::create(const ModelConfig& config, const TorchOptions& options) {
  return guarded([&] {
    auto state = std::make_unique<State>(config, options);
    state->model->visit([&](const TensorSpec& spec, TorchOps::Weight& weight) {
      weight = TorchOps::make_weight(spec.shape);
      const auto n = static_cast<size_t>(weight->master.numel());
      state->weights.push_back(weight);
      state->parameters.push_back({spec, {weight->values(), n}, {weight->gradient(), n}});
    });
    return TorchModel(std::move(state));
  });
}

const ModelConfig& TorchModel::config() const { return state_->config; }
std::span<const TorchModel::Parameter> TorchModel::parameters() const { return state_->parameters; }
std::span<const TorchModel::Parameter> TorchModel::frozen() const { return state_->frozen; }

void TorchModel::weights_changed() {
  for (const TorchOps::Weight& weight : state_->weights)
    if (weight->packed) weight->packed->changed();
}
void TorchModel::zero_gradients() {
  for (const Parameter& p : state_->parameters) std::fill(p.gradient.begin(), p.gradient.end(), 0.0F);
}

void TorchModel::begin_step(uint64_t seed) {
  state_->step_seed = seed;
  state_->n_passes = 0;
}

Result<double> TorchModel::loss(const Batch& batch, std::span<const int32_t> targets,
                                std::span<const float> weights) const {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/false);
    return ops.head_loss(state_->model->hidden(ops, batch), head, targets, weights, 1.0F).sum;
  });
}

Result<double> TorchModel::loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                             std::span<const float> weights, float scale) {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/true);
    ops.regularise(state_->regularisers, batch, state_->next_seed());
    const TorchOps::Loss loss =
        ops.head_loss(state_->model->hidden(ops, batch), head, targets, weights, scale);
    torch_ops::run_backward(loss.node);
    return loss.sum;
  });
}

namespace {
std::vector<double> log_probs_of(TorchOps& plain, const TorchOps::Act& hidden,
                                 const LmHead<TorchOps::Weight>& head, std::span<const int32_t> targets) {
  std::vector<double> log_p(targets.size());
  const std::vector<float> ones(targets.size(), 1.0F);
  plain.head_loss(hidden, head, targets, ones, 1.0F, log_p);
  for (double& each : log_p) each = -each;
  return log_p;
}
}  // namespace

Result<std::vector<double>> TorchModel::log_probs(const Batch& batch,
                                                  std::span<const int32_t> targets) const {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/false);
    return log_probs_of(ops, state_->model->hidden(ops, batch), head, targets);
  });
}

Result<double> TorchModel::log_prob_loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                                      const LogProbLoss& loss, float scale) {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/true), plain(state_->bf16, /*record=*/false);
    const TorchOps::Act hidden = state_->model->hidden(ops, batch);
    const std::vector<double> log_p = log_probs_of(plain, hidden, head, targets);
    std::vector<double> gradient(log_p.size());
    const double value = loss(log_p, gradient);
    // A row's weight is that of -log p.
    std::vector<float> weights(gradient.size());
    std::transform(gradient.begin(), gradient.end(), weights.begin(),
                   [](double g) { return static_cast<float>(-g); });
    torch_ops::run_backward(ops.head_loss(hidden, head, targets, weights, scale).node);
    return value;
  });
}

Result<TorchModel::DistilLoss> TorchModel::distil_loss_and_gradient(const Batch& batch,
                                                                    const TorchModel& teacher,
                                                                    std::span<const int32_t> targets,
                                                                    std::span<const float> weights,
                                                                    const Distil& how, float scale) {
  const auto head = TRY(state_->head_for(batch, targets));
  const auto his_head = TRY(teacher.state_->head_for(batch, targets));
  if (config().vocab_size != teacher.config().vocab_size)
    return fail(ErrorCode::kInvalidArgument, "expected a teacher with the student's {} tokens, got {}",
                config().vocab_size, teacher.config().vocab_size);
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/true), plain(teacher.state_->bf16, /*record=*/false);
    const TorchOps::Act his = teacher.state_->model->hidden(plain, batch);
    const TorchOps::Distil spec{static_cast<float>(how.temperature), static_cast<float>(how.alpha),
                                how.top_k};
    const TorchOps::DistilLoss loss = ops.distil_loss(state_->model->hidden(ops, batch), head, his, his_head,
                                                      targets, weights, spec, scale);
    torch_ops::run_backward(loss.node);
    return DistilLoss{how.alpha * loss.soft + (1 - how.alpha) * loss.hard, loss.hard, loss.soft};
  });
}

Result<std::vector<float>> TorchModel::output(const Batch& batch) const {
  TRY(state_->check(batch));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/false);
    return TorchOps::numbers(state_->model->output(ops, batch));
  });
}

Result<double> TorchModel::output_loss_and_gradient(const Batch& batch, const OutputLoss& loss, float scale) {
  TRY(state_->check(batch));
  return guarded([&] {
    TorchOps ops(state_->bf16, /*record=*/true);
    const TorchOps::Act output = state_->model->output(ops, batch);
    const std::vector<float> numbers = TorchOps::numbers(output);
    std::vector<float> gradient(numbers.size());
    const double value = loss(numbers, gradient);
    for (float& g : gradient) g *= scale;
    torch_ops::run_backward(TorchOps::with_gradient(output, gradient));
    return value;
  });
}

}  // namespace volant
