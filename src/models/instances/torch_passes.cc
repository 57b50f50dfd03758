// Passes over a batch: outputs, losses and their gradients.
#include <algorithm>

#include "models/instances/torch_state.h"

namespace volant {

Result<double> TorchModel::loss(const Batch& batch, std::span<const int32_t> targets,
                                std::span<const float> weights) const {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops = state_->plain_pass();
    return ops.head_loss(state_->model->hidden(ops, batch), head, targets, weights, 1.0F).sum;
  });
}

Result<double> TorchModel::loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                             std::span<const float> weights, float scale) {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops = state_->training_pass();
    ops.regularise(state_->regularisers, batch, state_->pass_seed);
    const TorchOps::Loss loss =
        ops.head_loss(state_->model->hidden(ops, batch), head, targets, weights, scale);
    state_->run_backward(loss.node);
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
    TorchOps ops = state_->plain_pass();
    return log_probs_of(ops, state_->model->hidden(ops, batch), head, targets);
  });
}

Result<std::vector<double>> TorchModel::base_log_probs(const Batch& batch,
                                                       std::span<const int32_t> targets) const {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops = state_->plain_pass();
    ops.leave_out_adapters();
    return log_probs_of(ops, state_->model->hidden(ops, batch), head, targets);
  });
}

Result<double> TorchModel::log_prob_loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                                      const LogProbLoss& loss, float scale) {
  const auto head = TRY(state_->head_for(batch, targets));
  return guarded([&] {
    TorchOps ops = state_->training_pass();
    TorchOps plain = state_->plain_pass();
    const TorchOps::Act hidden = state_->model->hidden(ops, batch);
    const std::vector<double> log_p = log_probs_of(plain, hidden, head, targets);
    std::vector<double> gradient(log_p.size());
    const double value = loss(log_p, gradient);
    // A row's weight is that of -log p.
    std::vector<float> weights(gradient.size());
    std::transform(gradient.begin(), gradient.end(), weights.begin(),
                   [](double g) { return static_cast<float>(-g); });
    state_->run_backward(ops.head_loss(hidden, head, targets, weights, scale).node);
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
    TorchOps ops = state_->training_pass(), plain = teacher.state_->plain_pass();
    const TorchOps::Act his = teacher.state_->model->hidden(plain, batch);
    const TorchOps::Distil spec{static_cast<float>(how.temperature), static_cast<float>(how.alpha),
                                how.top_k};
    const TorchOps::DistilLoss loss = ops.distil_loss(state_->model->hidden(ops, batch), head, his, his_head,
                                                      targets, weights, spec, scale);
    state_->run_backward(loss.node);
    return DistilLoss{how.alpha * loss.soft + (1 - how.alpha) * loss.hard, loss.hard, loss.soft};
  });
}

Status TorchModel::idle_pass(bool trains) {
  const std::vector<int32_t> zero{0}, whole{0, 1};
  const std::vector<float> nothing{0};
  const Batch batch{.tokens = zero, .pos = zero, .seq_begin = whole, .kv_slot = {}, .out_rows = zero};
  if (trains) {
    TRY(loss_and_gradient(batch, zero, nothing, 1));
  } else {
    TRY(log_probs(batch, zero));
  }
  return {};
}

Result<std::vector<float>> TorchModel::output(const Batch& batch) const {
  TRY(state_->check(batch));
  return guarded([&] {
    TorchOps ops = state_->plain_pass();
    return TorchOps::numbers(state_->model->output(ops, batch));
  });
}

Result<double> TorchModel::output_loss_and_gradient(const Batch& batch, const OutputLoss& loss, float scale,
                                                    const EmbeddingShift& shift) {
  TRY(state_->check(batch));
  return guarded([&] {
    TorchOps ops = state_->training_pass();
    ops.shift_embeddings(shift, batch);
    const TorchOps::Act output = state_->model->output(ops, batch);
    const std::vector<float> numbers = TorchOps::numbers(output);
    std::vector<float> gradient(numbers.size());
    const double value = loss(numbers, gradient);
    for (float& g : gradient) g *= scale;
    state_->run_backward(TorchOps::with_gradient(output, gradient));
    return value;
  });
}

Result<std::vector<float>> TorchModel::input_gradient(const Batch& batch, const OutputLoss& loss,
                                                      const EmbeddingShift& shift) {
  TRY(state_->check(batch));
  return guarded([&] {
    // The pass adds to the weights' gradients too, which are to stay as they are.
    std::vector<at::Tensor> before;
    for (const auto& gradients : state_->gradients)
      before.push_back(gradients->here() ? gradients->all().clone() : at::Tensor());
    TorchOps ops(state_->bf16, /*record=*/true, state_->backend);
    ops.shift_embeddings(shift, batch);
    ops.learn_inputs(batch);
    const TorchOps::Act output = state_->model->output(ops, batch);
    const std::vector<float> numbers = TorchOps::numbers(output);
    std::vector<float> gradient(numbers.size());
    loss(numbers, gradient);
    torch_ops::run_backward(TorchOps::with_gradient(output, gradient));
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i].defined()) {
        state_->gradients[i]->all().copy_(before[i]);
      } else {
        state_->gradients[i]->free();
      }
    }
    return ops.input_gradient();
  });
}

}  // namespace volant
