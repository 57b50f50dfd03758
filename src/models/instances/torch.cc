#include "models/instances/torch.h"

#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "models/instances/torch_state.h"
#include "ops/torch/low_rank.h"

namespace volant {

static_assert(Ops<TorchOps>);

int prepare_torch(int n_threads) {
  torch_ops::set_thread_count(n_threads);
  torch_ops::use_block_cache();
  return torch_ops::thread_count();
}
std::string torch_isa() { return name_of(torch_backend()); }
bool torch_has_bf16() { return torch_backend() == TorchBackend::kCuda || torch_ops::has_bf16(); }
Result<double> torch_peak_flops(bool bf16) {
  const TorchBackend backend = torch_backend();
  return guarded([&] {
    return backend == TorchBackend::kKernels ? torch_ops::measured_peak_flops(bf16)
                                             : torch_ops::aten::measured_peak_flops(backend, bf16);
  });
}

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

// What the backend cannot do.
Status check_backend(const ModelConfig& config, const TorchOptions& options) {
  const TorchBackend backend = torch_backend();
  if (backend == TorchBackend::kKernels) return {};
  if (options.frozen_dtype != DType::kF32)
    return fail(
        ErrorCode::kUnsupported,
        "frozen matrices are kept in f32 with the operations of libtorch (\"{}\"), not in fewer bits: leave "
        "out 'base_bits', or train on the CPU",
        name_of(backend));
  if (backend == TorchBackend::kCuda && std::holds_alternative<NetworkFields>(config.own))
    return fail(ErrorCode::kUnsupported,
                "networks of layers train on the CPU: leave out 'device', or say \"cpu\"");
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
  std::vector<size_t> sizes(layers.size() + 1);
  for (Placed& p : placed) {
    p.group = std::min(p.group, layers.size());  // the last one is that of no layer
    p.begin = sizes[p.group];
    sizes[p.group] += (static_cast<size_t>(p.weight->count()) + kAlign - 1) / kAlign * kAlign;
  }
  const TorchBackend where = groups_go_whole() ? backend : TorchBackend::kKernels;
  for (const size_t n : sizes)
    for (auto* of : {&values, &gradients}) of->push_back(std::make_shared<torch_ops::Block>(n, where));
  for (const Placed& p : placed) p.weight->place(*values[p.group], gradients[p.group], p.begin);
  kept = parameters;
  groups.resize(sizes.size());
  for (size_t group = 0; group < groups.size(); ++group) find_group(group);
}

void TorchModel::State::find_group(size_t group) {
  groups[group] = {values[group]->numbers(), gradients[group]->numbers()};
  for (size_t i = 0; i < placed.size(); ++i) {
    if (placed[i].group != group) continue;
    const auto n = static_cast<size_t>(placed[i].weight->count());
    for (Parameter* p : {&parameters[i], &kept[i]}) {
      p->values = groups[group].values.subspan(placed[i].begin, n);
      p->gradient = groups[group].gradient.subspan(placed[i].begin, n);
    }
  }
}

void TorchModel::State::add_adapter(const TensorSpec& spec, TorchParameter& weight) {
  const int64_t n_out = spec.shape[0], n_in = spec.shape[1], r = adapter->r;
  auto beside = std::make_unique<TorchAdapter>();
  beside->scale = static_cast<float>(adapter->scale());
  beside->dropout = static_cast<float>(adapter->dropout);
  beside->a = make_unplaced_parameter({r, n_in}, backend);
  beside->b = make_unplaced_parameter({n_out, r}, backend);
  add_parameter({.name = peft_name(spec.name, "lora_A.weight"), .shape = {r, n_in}}, *beside->a);
  add_parameter({.name = peft_name(spec.name, "lora_B.weight"), .shape = {n_out, r}}, *beside->b);
  if (adapter->kind == AdapterSpec::Kind::kDora) {
    beside->magnitude = make_unplaced_parameter({n_out}, backend);
    TensorSpec magnitude = bias(peft_name(spec.name, "lora_magnitude_vector"), n_out);
    add_parameter(std::move(magnitude), *beside->magnitude);
  }
  weight.adapter = std::move(beside);
}

void TorchModel::State::add_weight(const TensorSpec& spec, const TorchOptions& options, bool adapted,
                                   TorchOps::Weight& weight) {
  const bool trained = is_trained(spec, options);
  set_layer(layer_of(spec.name));
  weight = trained ? make_unplaced_parameter(spec.shape, backend)
                   : make_parameter(spec.shape, false, kept_dtype(spec, options), backend);
  tensors.push_back(spec);
  weights.push_back(weight);
  weight->follows = follows_batches(spec, options);
  if (trained) add_parameter(spec, *weight);
  if (adapted) add_adapter(spec, *weight);
}

Result<TorchMemory> expected_memory(const ModelConfig& config, const TorchOptions& options) {
  const std::set<std::string> adapted = TRY(adapted_names(config, options));
  const uint64_t copies = options.bf16 ? 4 : 8;  // bytes of the packed layouts, one for each direction
  TorchMemory memory;
  std::map<std::string, uint64_t> of_layer;
  std::string layer;
  const auto add_trained = [&](int64_t n, bool matrix) {
    memory.n_trained += static_cast<uint64_t>(n);
    of_layer[layer] += sizeof(float) * static_cast<uint64_t>(n);
    if (matrix) memory.packed += copies * static_cast<uint64_t>(n);
  };
  for (const TensorSpec& spec : tensor_specs(config)) {
    const bool matrix = spec.shape.size() == 2;
    layer = layer_of(spec.name);
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
  uint64_t largest = 0;
  for (const auto& [name, bytes] : of_layer)
    if (!name.empty()) largest = std::max(largest, bytes);
  memory.read_at_once = std::min(of_layer[""] + 2 * largest, memory.trained);
  return memory;
}

Result<TorchModel> TorchModel::create(const ModelConfig& config, const TorchOptions& options) {
  const std::set<std::string> adapted = TRY(adapted_names(config, options));
  TRY(check_start(config, options, adapted));
  TRY(check_backend(config, options));
  return guarded([&] {
    auto state = std::make_unique<State>(config, options);
    state->adapter = options.adapter;
    state->start_from_rounding = options.start_from_rounding;
    state->model->visit([&](const TensorSpec& spec, TorchOps::Weight& weight) {
      state->add_weight(spec, options, adapted.contains(spec.name), weight);
    });
    state->place_parameters();
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
    std::vector<float> a(static_cast<size_t>(beside.a->count()));
    for (float& x : a) x = static_cast<float>((2 * random.uniform() - 1) * most);
    const std::vector<float> zeros(static_cast<size_t>(beside.b->count()));
    beside.a->write(beside.start_a.empty() ? a : beside.start_a);
    beside.b->write(beside.start_b.empty() ? zeros : beside.start_b);
    beside.changed();
    if (beside.magnitude) beside.magnitude->write(beside.norms(*weight));
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
  for (const auto& gradients : state_->gradients)
    if (gradients->here()) gradients->all().zero_();
}

void TorchModel::begin_step(uint64_t seed) {
  state_->step_seed = seed;
  state_->n_passes = state_->n_expected = 0;
  state_->most_passes = 0;
}
void TorchModel::on_gradients(OnGradients f) { state_->on_gradients = std::move(f); }
void TorchModel::on_weights(OnWeights f) {
  State& s = *state_;
  s.on_weights = std::move(f);
  const bool shared = weights_are_shared();
  const auto need = [&s](bool backward) {
    return [&s, backward](int number) { s.on_weights.need(static_cast<size_t>(number), backward); };
  };
  s.segments.before_forward = shared ? need(false) : std::function<void(int)>();
  s.segments.before_backward = shared ? need(true) : std::function<void(int)>();
  s.segments.after_forward = nullptr;
  if (shared) s.segments.after_forward = [&s](int number) { s.on_weights.done(static_cast<size_t>(number)); };
}
bool TorchModel::weights_are_shared() const { return state_->on_weights.need != nullptr; }
void TorchModel::drop_copies(size_t group) {
  for (const State::Placed& p : state_->placed)
    if (p.group == group) p.weight->drop_copies();
}
bool TorchModel::groups_go_whole() const { return state_->groups_go_whole(); }
void TorchModel::drop_group(size_t group, Of what) {
  (what == Of::kValues ? state_->values : state_->gradients)[group]->free();
  state_->find_group(group);
}
void TorchModel::bring_group(size_t group, Of what) {
  (what == Of::kValues ? state_->values : state_->gradients)[group]->make();
  state_->find_group(group);
}
void TorchModel::values_came(size_t group) {
  for (const State::Placed& p : state_->placed)
    if (p.group == group) p.weight->numbers_came();
}
void TorchModel::expect_passes(int64_t n, int64_t most) {
  state_->n_expected = static_cast<uint64_t>(n);
  state_->most_passes = most;
}
int64_t TorchModel::most_passes() const { return state_->most_passes; }

}  // namespace volant
