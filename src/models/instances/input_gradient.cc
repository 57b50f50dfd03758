#include "models/instances/input_gradient.h"

#include "models/check_batch.h"
#include "models/make_model.h"
#include "ops/tape/tape_ops.h"

namespace volant {

struct InputGradient::State {
  State(const ModelConfig& config_in, int n_threads)
      : config(config_in), threads(n_threads), model(make_model<TapeOps>(config_in)) {}
  ModelConfig config;
  ThreadPool threads;
  std::unique_ptr<Model<TapeOps>> model;
};

namespace {

Status check_family(const ModelConfig& config) {
  const bool experts = std::holds_alternative<MixtralFields>(config.own) ||
                       std::holds_alternative<Qwen2MoeFields>(config.own) ||
                       std::holds_alternative<Qwen3MoeFields>(config.own);
  if (!experts && !config.has_source()) return {};
  return fail(ErrorCode::kUnsupported, "no gradients by the inputs of {}", config.architecture);
}

// As f32.
Status load_weight(const Checkpoint& checkpoint, const TensorSpec& spec, ThreadPool& threads,
                   TapeWeight& weight) {
  const std::vector<float> numbers = to_f32(TRY(checkpoint.tensor(spec.name)));
  std::vector<int64_t> shape = spec.shape;
  if (shape.size() > 2) shape = {shape[0], spec.count() / shape[0]};
  weight.plain =
      TRY(NativeWeight::load({DType::kF32, shape, std::as_bytes(std::span<const float>(numbers))}, threads));
  return {};
}

}  // namespace

InputGradient::InputGradient(std::unique_ptr<State> state) : state_(std::move(state)) {}
InputGradient::~InputGradient() = default;

Result<std::unique_ptr<InputGradient>> InputGradient::load(const Checkpoint& checkpoint, int n_threads) {
  TRY(check_family(checkpoint.config()));
  auto state = std::make_unique<State>(checkpoint.config(), n_threads);
  Status status;
  state->model->visit([&](const TensorSpec& spec, TapeWeight& weight) {
    if (!status) return;
    status = load_weight(checkpoint, spec, state->threads, weight);
    if (!status) status = std::move(status).error().at(fmt::format("tensor '{}'", spec.name));
  });
  if (!status) return std::move(status).error();
  return std::unique_ptr<InputGradient>(new InputGradient(std::move(state)));
}

const ModelConfig& InputGradient::config() const { return state_->config; }

Result<InputGradient::Pass> InputGradient::gradient(const Batch& batch, const Weights& weights,
                                                    float embedding_scale, std::span<const float> shift) {
  TRY(check_batch(state_->config, batch));
  const ThreadPool::Busy busy(state_->threads);
  TapeOps ops(state_->threads, batch, {embedding_scale, shift});
  const TapeOps::Act output = state_->model->output(ops, batch);
  if (!ops.shift_fits())
    return fail(ErrorCode::kInvalidArgument, "expected a shift of {} numbers, got {}", ops.input().size(),
                shift.size());
  const std::span<const float> numbers = output.node->value.numbers();
  Pass pass{.output = {numbers.begin(), numbers.end()}, .input = {}, .gradient = {}};
  ops.go_back(output, weights(pass.output));
  pass.input.assign(ops.input().begin(), ops.input().end());
  pass.gradient.assign(ops.input_gradient().begin(), ops.input_gradient().end());
  return pass;
}

}  // namespace volant
