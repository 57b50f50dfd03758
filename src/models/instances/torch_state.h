// What TorchModel holds, for the files that it is written in: torch.cc (weights and adapters) and
// torch_passes.cc (losses and gradients).
#pragma once
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "models/check_batch.h"
#include "models/instances/torch.h"
#include "models/make_model.h"
#include "ops/torch/adapter.h"
#include "ops/torch/autograd.h"
#include "ops/torch/block.h"
#include "ops/torch/torch_ops.h"

namespace volant {

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

struct TorchModel::State {
  State(const ModelConfig& config_in, const TorchOptions& options)
      : config(config_in),
        model(make_model<TorchOps>(config_in)),
        backend(torch_backend()),
        bf16(options.bf16),
        regularisers{options.label_smoothing, options.z_loss, options.neftune_alpha} {
    segments.forget = options.checkpoint_activations;
    segments.after_backward = [this](int number) {
      if (on_weights.done) on_weights.done(static_cast<size_t>(number));
      tell(static_cast<size_t>(number));
    };
  }
  ModelConfig config;
  std::vector<std::shared_ptr<torch_ops::Block>> values, gradients;  // of the groups
  std::unique_ptr<Model<TorchOps>> model;
  TorchBackend backend;
  bool bf16;
  Regularisers regularisers;
  uint64_t step_seed = 0, n_passes = 0, pass_seed = 0;  // of this step
  uint64_t n_expected = 0;                              // passes of this step; 0: not said
  int64_t most_passes = 0;
  TorchSegments segments;
  OnGradients on_gradients;
  OnWeights on_weights;
  std::optional<AdapterSpec> adapter;
  bool start_from_rounding = false;
  std::vector<TensorSpec> tensors;
  std::vector<TorchOps::Weight> weights;  // of the tensors
  std::vector<Parameter> parameters, kept;
  std::vector<Group> groups;
  struct Placed {
    size_t group;
    TorchParameter* weight;
    size_t begin = 0;  // in the group
  };
  std::vector<Placed> placed;       // as the parameters
  std::vector<std::string> layers;  // what the names of each begin with
  size_t layer = SIZE_MAX;          // that of the tensor being added; SIZE_MAX: of none

  void add_weight(const TensorSpec& spec, const TorchOptions& options, bool adapted,
                  TorchOps::Weight& weight);
  void add_adapter(const TensorSpec& spec, TorchParameter& weight);
  void add_parameter(TensorSpec spec, TorchParameter& weight);
  void set_layer(const std::string& name);
  // Gives every parameter its place in the memory of its group.
  void place_parameters();
  // Networks of layers have operations of the CPU in them that know addresses.
  bool groups_go_whole() const {
    return backend != TorchBackend::kKernels && !std::holds_alternative<NetworkFields>(config.own);
  }
  // Where the numbers of a group are now.
  void find_group(size_t group);
  AdapterFactors factors_of(const TorchAdapter& adapter) const;

  void begin() const {
    if (on_weights.need) on_weights.need(groups.size() - 1, /*backward=*/false);
  }
  // For the next pass of this step that trains: what is random in it has a seed of its own.
  TorchOps training_pass() {
    begin();
    TorchOps ops(bf16, /*record=*/true, backend);
    pass_seed = step_seed * 0x9E3779B97F4A7C15ULL + ++n_passes;
    ops.set_seed(pass_seed);
    ops.set_segments(segments);
    return ops;
  }
  void tell(size_t group) const {
    if (on_gradients) on_gradients(group, n_passes == n_expected);
  }
  // The backward pass of a training pass.
  void run_backward(const at::Tensor& node) const {
    torch_ops::run_backward(node);
    tell(groups.size() - 1);
  }
  TorchOps plain_pass() const {
    begin();
    TorchOps ops(bf16, /*record=*/false, backend);
    ops.set_segments(segments);
    return ops;
  }

  Status check(const Batch& batch) const { return check_batch(config, batch); }
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

}  // namespace volant
