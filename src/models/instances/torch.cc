#include "models/instances/torch.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <set>

#include "base/random.h"
#include "models/check_batch.h"
#include "models/make_model.h"
#include "ops/torch/adapter.h"
#include "ops/torch/autograd.h"
#include "ops/torch/low_rank.h"
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
        regularisers{options.label_smoothing, options.z_loss, options.neftune_alpha} {
    segments.forget = options.checkpoint_activations;
    segments.after_backward = [this](int number) { tell(static_cast<size_t>(number)); };
  }
  ModelConfig config;
  std::vector<torch_ops::Pages> pages;  // of the groups
  std::unique_ptr<Model<TorchOps>> model;
  bool bf16;
  Regularisers regularisers;
  uint64_t step_seed = 0, n_passes = 0, pass_seed = 0;  // of this step
  uint64_t n_expected = 0;                              // passes of this step; 0: not said
  int64_t most_passes = 0;
  TorchSegments segments;
  OnGradients on_gradients;
  std::optional<AdapterSpec> adapter;
  bool start_from_rounding = false;
  std::vector<TensorSpec> tensors;
  std::vector<TorchOps::Weight> weights;  // of the tensors
  std::vector<Parameter> parameters, kept;
  std::vector<Group> groups;
  struct Placed {
    size_t group;
    TorchParameter* weight;
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
  AdapterFactors factors_of(const TorchAdapter& adapter) const;

  // For the next pass of this step that trains: what is random in it has a seed of its own.
  TorchOps training_pass() {
    TorchOps ops(bf16, /*record=*/true);
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
    TorchOps ops(bf16, /*record=*/false);
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

TorchModel::TorchModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
TorchModel::TorchModel(TorchModel&&) noexcept = default;
TorchModel& TorchModel::operator=(TorchModel&&) noexcept = default;
TorchModel::~TorchModel() = default;

namespace {

DType kept_dtype(const TensorSpec& spec, const TorchOptions& options) {
  const bool in_8_bits = options.in_8_bits && options.in_8_bits(spec);
  const DType wanted = in_8_bits ? DType::kQ8_0 : options.frozen_dtype;
  if (spec.shape.size() != 2 || wanted == DType::kF32) return DType::kF32;
  const bool divides = spec.shape[1] % dtype_info(wanted).block == 0;
  return spec.role == TensorRole::kMatrix && divides ? wanted : DType::kBF16;
}

Result<std::set<std::string>> adapted_names(const ModelConfig& config, const TorchOptions& options) {
  std::set<std::string> adapted;
  if (!options.adapter) return adapted;
  const std::vector<std::string> names = TRY(adapted_tensors(config, *options.adapter));
  adapted.insert(names.begin(), names.end());
  return adapted;
}

// Whether adapters can begin from the rounding error, when that is asked for.
Status check_start(const ModelConfig& config, const TorchOptions& options,
                   const std::set<std::string>& adapted) {
  if (!options.start_from_rounding) return {};
  if (!options.adapter || options.adapter->kind != AdapterSpec::Kind::kLora)
    return fail(ErrorCode::kInvalidArgument, "only LoRA's factors can begin from what rounding took");
  for (const TensorSpec& spec : tensor_specs(config))
    if (adapted.contains(spec.name) && options.adapter->r > std::min(spec.shape[0], spec.shape[1]))
      return fail(
          ErrorCode::kInvalidArgument,
          "'r' is {}, more than the smaller side of {} ({} x {}), which \"start\": \"rounding\" needs",
          options.adapter->r, spec.name, spec.shape[0], spec.shape[1]);
  return {};
}

bool is_trained(const TensorSpec& spec, const TorchOptions& options) {
  return spec.role != TensorRole::kStatistic && !options.adapter && (!options.trains || options.trains(spec));
}
bool follows_batches(const TensorSpec& spec, const TorchOptions& options) {
  return spec.role == TensorRole::kStatistic && !options.adapter && (!options.trains || options.trains(spec));
}

std::span<float> numbers_of(TorchParameter& w) { return {w.values(), static_cast<size_t>(w.count())}; }

}  // namespace

namespace {
constexpr size_t kAlign = 16;  // numbers: 64 bytes

// "model.layers.3." of a name in a layer; empty where there is none.
std::string layer_of(const std::string& name) {
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const size_t end = name.find_first_not_of("0123456789", dot + 1);
    if (end != std::string::npos && end > dot + 1 && name[end] == '.') return name.substr(0, end + 1);
  }
  return {};
}
}  // namespace

void TorchModel::State::add_parameter(TensorSpec spec, TorchParameter& weight) {
  placed.push_back({layer, &weight});
  parameters.push_back({std::move(spec), {}, {}});
}

void TorchModel::State::set_layer(const std::string& name) {
  const auto found = std::ranges::find(layers, name);
  layer = name.empty() ? SIZE_MAX : static_cast<size_t>(found - layers.begin());
  if (layer == layers.size()) layers.push_back(name);
}

void TorchModel::State::place_parameters() {
  std::vector<size_t> sizes(layers.size() + 1), begins;
  for (Placed& p : placed) {
    p.group = std::min(p.group, layers.size());  // the last one is that of no layer
    begins.push_back(sizes[p.group]);
    sizes[p.group] += (static_cast<size_t>(p.weight->count()) + kAlign - 1) / kAlign * kAlign;
  }
  for (const size_t n : sizes) {
    float* const values = pages.emplace_back(n * sizeof(float)).floats();
    float* const gradient = pages.emplace_back(n * sizeof(float)).floats();
    groups.push_back({{values, n}, {gradient, n}});
  }
  for (size_t i = 0; i < placed.size(); ++i) {
    const Group& group = groups[placed[i].group];
    const auto n = static_cast<size_t>(placed[i].weight->count());
    parameters[i].values = group.values.subspan(begins[i], n);
    parameters[i].gradient = group.gradient.subspan(begins[i], n);
    placed[i].weight->place(parameters[i].values.data(), parameters[i].gradient.data());
  }
}

void TorchModel::State::add_adapter(const TensorSpec& spec, TorchParameter& weight) {
  const int64_t n_out = spec.shape[0], n_in = spec.shape[1], r = adapter->r;
  auto beside = std::make_unique<TorchAdapter>();
  beside->scale = static_cast<float>(adapter->scale());
  beside->dropout = static_cast<float>(adapter->dropout);
  beside->a = make_unplaced_parameter({r, n_in});
  beside->b = make_unplaced_parameter({n_out, r});
  add_parameter({.name = peft_name(spec.name, "lora_A.weight"), .shape = {r, n_in}}, *beside->a);
  add_parameter({.name = peft_name(spec.name, "lora_B.weight"), .shape = {n_out, r}}, *beside->b);
  if (adapter->kind == AdapterSpec::Kind::kDora) {
    beside->magnitude = make_unplaced_parameter({n_out});
    TensorSpec magnitude = bias(peft_name(spec.name, "lora_magnitude_vector"), n_out);
    add_parameter(std::move(magnitude), *beside->magnitude);
  }
  weight.adapter = std::move(beside);
}

void TorchModel::State::add_weight(const TensorSpec& spec, const TorchOptions& options, bool adapted,
                                   TorchOps::Weight& weight) {
  const bool trained = is_trained(spec, options);
  set_layer(layer_of(spec.name));
  weight = trained ? make_unplaced_parameter(spec.shape)
                   : make_parameter(spec.shape, false, kept_dtype(spec, options));
  tensors.push_back(spec);
  weights.push_back(weight);
  weight->follows = follows_batches(spec, options);
  if (trained) add_parameter(spec, *weight);
  if (adapted) add_adapter(spec, *weight);
}

Result<TorchMemory> expected_memory(const ModelConfig& config, const TorchOptions& options) {
  const std::set<std::string> adapted = TRY(adapted_names(config, options));
  const uint64_t copies = 2 * (options.bf16 ? 2 : 4);  // bytes of the packed layouts, one for each direction
  TorchMemory memory;
  const auto add_trained = [&](int64_t n, bool matrix) {
    memory.n_trained += static_cast<uint64_t>(n);
    if (matrix) memory.packed += copies * static_cast<uint64_t>(n);
  };
  for (const TensorSpec& spec : tensor_specs(config)) {
    const bool matrix = spec.shape.size() == 2;
    if (is_trained(spec, options)) {
      add_trained(spec.count(), matrix);
    } else {
      const DType dtype = kept_dtype(spec, options);
      memory.frozen += row_bytes(dtype, spec.count());
      if (dtype == DType::kF32 && matrix) memory.packed += copies * static_cast<uint64_t>(spec.count());
    }
    if (!adapted.contains(spec.name)) continue;
    const int64_t factors = options.adapter->r * (spec.shape[0] + spec.shape[1]);
    add_trained(factors, true);
    if (options.start_from_rounding) memory.frozen += sizeof(float) * static_cast<uint64_t>(factors);
    if (options.adapter->kind == AdapterSpec::Kind::kDora) add_trained(spec.shape[0], false);
  }
  memory.trained = memory.gradients = 4 * memory.n_trained;
  return memory;
}

Result<TorchModel> TorchModel::create(const ModelConfig& config, const TorchOptions& options) {
  const std::set<std::string> adapted = TRY(adapted_names(config, options));
  TRY(check_start(config, options, adapted));
  return guarded([&] {
    auto state = std::make_unique<State>(config, options);
    state->adapter = options.adapter;
    state->start_from_rounding = options.start_from_rounding;
    state->model->visit([&](const TensorSpec& spec, TorchOps::Weight& weight) {
      state->add_weight(spec, options, adapted.contains(spec.name), weight);
    });
    state->place_parameters();
    state->kept = state->parameters;
    for (size_t i = 0; i < state->tensors.size(); ++i)
      if (TorchParameter& w = *state->weights[i]; w.follows)
        state->kept.push_back({state->tensors[i], numbers_of(w), {}});
    return TorchModel(std::move(state));
  });
}

const ModelConfig& TorchModel::config() const { return state_->config; }
std::span<const TorchModel::Parameter> TorchModel::parameters() const { return state_->parameters; }
std::span<const TorchModel::Parameter> TorchModel::kept() const { return state_->kept; }
std::span<const TorchModel::Group> TorchModel::groups() const { return state_->groups; }
std::span<const TensorSpec> TorchModel::tensors() const { return state_->tensors; }

void TorchModel::write(size_t i, std::span<const float> numbers) {
  TorchParameter& weight = *state_->weights[i];
  weight.write(numbers);
  if (!weight.adapter || !state_->start_from_rounding) return;
  std::vector<float> lost = weight.read();
  for (size_t k = 0; k < lost.size(); ++k) lost[k] = (numbers[k] - lost[k]) / weight.adapter->scale;
  torch_ops::LowRank start =
      torch_ops::nearest_of_rank(lost, weight.shape[0], weight.shape[1], state_->adapter->r);
  weight.adapter->start_a = std::move(start.a_rI);
  weight.adapter->start_b = std::move(start.b_Or);
}

AdapterFactors TorchModel::State::factors_of(const TorchAdapter& beside) const {
  return {beside.a->read(), beside.b->read(),
          beside.magnitude ? beside.magnitude->read() : std::vector<float>()};
}

std::vector<float> TorchModel::merged(size_t i) const {
  const TorchParameter& weight = *state_->weights[i];
  std::vector<float> numbers = weight.read();
  if (weight.adapter)
    merge_adapter(state_->factors_of(*weight.adapter), *state_->adapter, weight.shape[0], weight.shape[1],
                  numbers);
  return numbers;
}

void TorchModel::start_adapters(uint64_t seed) {
  for (const TorchOps::Weight& weight : state_->weights) {
    if (!weight->adapter) continue;
    TorchAdapter& beside = *weight->adapter;
    Random random(++seed);
    const double most = 1 / std::sqrt(static_cast<double>(weight->shape[1]));
    for (float& x : numbers_of(*beside.a)) x = static_cast<float>((2 * random.uniform() - 1) * most);
    for (float& x : numbers_of(*beside.b)) x = 0;
    if (!beside.start_a.empty()) {
      beside.a->write(beside.start_a);
      beside.b->write(beside.start_b);
    }
    beside.changed();
    if (beside.magnitude) beside.magnitude->write(beside.norms(weight->matrix()));
  }
}

namespace {

// B A - B0 A0 as one product of twice the rank: [B, -B0] [A; A0].
AdapterFactors since_start(AdapterFactors now, const TorchAdapter& began) {
  const auto r = static_cast<size_t>(began.a->shape[0]), n_out = static_cast<size_t>(began.b->shape[0]);
  now.a_rI.insert(now.a_rI.end(), began.start_a.begin(), began.start_a.end());
  std::vector<float> b(2 * n_out * r);
  for (size_t o = 0; o < n_out; ++o)
    for (size_t k = 0; k < r; ++k) {
      b[o * 2 * r + k] = now.b_Or[o * r + k];
      b[o * 2 * r + r + k] = -began.start_b[o * r + k];
    }
  now.b_Or = std::move(b);
  return now;
}

}  // namespace

std::optional<Adapter> TorchModel::adapter() const {
  if (!state_->adapter) return std::nullopt;
  Adapter adapter{.spec = *state_->adapter, .base_model = {}, .factors = {}};
  for (size_t i = 0; i < state_->weights.size(); ++i)
    if (const auto& beside = state_->weights[i]->adapter)
      adapter.factors[state_->tensors[i].name] = beside->start_a.empty()
                                                     ? state_->factors_of(*beside)
                                                     : since_start(state_->factors_of(*beside), *beside);
  if (state_->start_from_rounding) {
    adapter.spec.r *= 2;
    adapter.spec.alpha *= 2;
  }
  return adapter;
}

TorchMemory TorchModel::memory() const {
  TorchMemory memory;
  for (const Parameter& p : state_->parameters) {
    memory.n_trained += p.values.size();
    memory.trained += p.values.size_bytes();
    memory.gradients += p.gradient.size_bytes();
  }
  for (const TorchOps::Weight& weight : state_->weights) {
    if (!weight->trained()) memory.frozen += weight->bytes();
    memory.packed += weight->packed_bytes();
    if (const auto& beside = weight->adapter) {
      memory.packed += beside->a->packed_bytes() + beside->b->packed_bytes();
      memory.frozen += sizeof(float) * (beside->start_a.size() + beside->start_b.size());
    }
  }
  return memory;
}

void TorchModel::compute_in_f32() { state_->bf16 = false; }
void TorchModel::weights_changed() {
  for (const TorchOps::Weight& weight : state_->weights) weight->changed();
}
void TorchModel::zero_gradients() {
  for (const Parameter& p : state_->parameters) std::fill(p.gradient.begin(), p.gradient.end(), 0.0F);
}

void TorchModel::begin_step(uint64_t seed) {
  state_->step_seed = seed;
  state_->n_passes = state_->n_expected = 0;
  state_->most_passes = 0;
}
void TorchModel::on_gradients(OnGradients f) { state_->on_gradients = std::move(f); }
void TorchModel::expect_passes(int64_t n, int64_t most) {
  state_->n_expected = static_cast<uint64_t>(n);
  state_->most_passes = most;
}
int64_t TorchModel::most_passes() const { return state_->most_passes; }

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
    std::vector<std::vector<float>> before;
    for (const Parameter& p : state_->parameters) before.emplace_back(p.gradient.begin(), p.gradient.end());
    TorchOps ops(state_->bf16, /*record=*/true);
    ops.shift_embeddings(shift, batch);
    ops.learn_inputs(batch);
    const TorchOps::Act output = state_->model->output(ops, batch);
    const std::vector<float> numbers = TorchOps::numbers(output);
    std::vector<float> gradient(numbers.size());
    loss(numbers, gradient);
    torch_ops::run_backward(TorchOps::with_gradient(output, gradient));
    for (size_t i = 0; i < before.size(); ++i)
      std::copy(before[i].begin(), before[i].end(), state_->parameters[i].gradient.begin());
    return ops.input_gradient();
  });
}

}  // namespace volant
