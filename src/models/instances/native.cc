#include "models/instances/native.h"

#include <cmath>
#include <map>
#include <utility>

#include "models/make_model.h"
#include "ops/native/native_ops.h"

namespace volant {
namespace {

// The rows of `view` in another number type; `bytes` holds them.
Result<TensorView> convert(const TensorView& view, DType dtype, std::vector<std::byte>& bytes) {
  if (!dtype_info(dtype).writable) {
    return fail(ErrorCode::kUnsupported, "numbers are not converted to {}, it is read only",
                dtype_info(dtype).name);
  }
  if (view.columns() % dtype_info(dtype).block != 0) {
    return fail(ErrorCode::kUnsupported, "rows of {} numbers do not divide into the blocks of {}",
                view.columns(), dtype_info(dtype).name);
  }
  const size_t from_bytes = row_bytes(view.dtype, view.columns()),
               to_bytes = row_bytes(dtype, view.columns());
  bytes.resize(to_bytes * static_cast<size_t>(view.rows()));
  std::vector<float> row(static_cast<size_t>(view.columns()));
  for (size_t r = 0; r < static_cast<size_t>(view.rows()); ++r) {
    to_f32(view.dtype, view.bytes.data() + r * from_bytes, view.columns(), row.data());
    from_f32(dtype, row.data(), view.columns(), bytes.data() + r * to_bytes);
  }
  return TensorView{dtype, view.shape, bytes};
}

KvShape kv_shape(const ModelConfig& config, DType kv_dtype) {
  return {.n_layer = config.n_cache_layers(),
          .n_kv_head = config.num_key_value_heads,
          .head_dim = config.head_dim,
          .type = kv_dtype};
}

}  // namespace

struct NativeModel::State {
  State(const ModelConfig& config_in, const NativeOptions& options)
      : config(config_in),
        threads(options.n_threads),
        model(make_model<NativeOps>(config_in)),
        dtype(options.dtype) {}
  ModelConfig config;
  ThreadPool threads;
  KvCache cache;
  NativeOps ops{threads, &cache};
  Shelf shelf;  // of weights
  std::unique_ptr<Model<NativeOps>> model;
  NativeAct last;  // what logits() gave out
  std::optional<ThreadPool::Busy> busy;
  uint64_t weight_bytes = 0;
  std::optional<DType> dtype;  // of matrices; none: the source's own
  int32_t n_adapters = 0;

  Result<std::unique_ptr<NativeAdapter>> load_adapter(const AdapterFactors& factors, const AdapterSpec& spec,
                                                      const NativeWeight& beside);

  Status fill(const TensorSource& source);
};

Status NativeModel::State::fill(const TensorSource& source) {
  Status status;
  weight_bytes = 0;
  model->visit([&](const TensorSpec& spec, NativeWeight& weight) {
    if (!status) return;
    status = [&]() -> Status {
      TensorView view = TRY(source(spec));
      if (view.shape != spec.shape)
        return fail(ErrorCode::kInvalidArgument, "expected {} numbers in another shape", view.count());
      if (view.shape.size() > 2) {  // of a convolution: a row for each output
        view.shape = {spec.shape[0], spec.count() / spec.shape[0]};
      }
      std::vector<std::byte> converted;
      if (dtype && view.shape.size() == 2) view = TRY(convert(view, *dtype, converted));
      weight = TRY(NativeWeight::load(view, threads, &shelf));
      return {};
    }();
    if (!status) status = std::move(status).error().at(fmt::format("tensor '{}'", spec.name));
    weight_bytes += weight.bytes();
  });
  return status;
}

NativeModel::NativeModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
NativeModel::~NativeModel() = default;

Result<std::unique_ptr<NativeModel>> NativeModel::load(const Checkpoint& checkpoint,
                                                       const NativeOptions& options) {
  const ModelConfig& config = checkpoint.config();
  auto state = std::make_unique<State>(config, options);
  std::string packed;  // the tensor before
  Status status = state->fill([&](const TensorSpec& spec) {
    checkpoint.forget_pages(std::exchange(packed, spec.name));
    return checkpoint.tensor(spec.name);
  });
  if (!status) return std::move(status).error().at(checkpoint.path().string());
  checkpoint.forget_pages(packed);
  if (options.n_slot > 0 || options.n_page > 0) {
    KvShape shape = kv_shape(config, options.kv_dtype);
    shape.n_slot = options.n_slot;
    shape.n_ctx = options.n_ctx;
    shape.n_page = options.n_page;
    state->cache = TRY(KvCache::create(shape));
  }
  return std::unique_ptr<NativeModel>(new NativeModel(std::move(state)));
}

Status NativeModel::set_weights(const TensorSource& source) {
  CHECK(state_->n_adapters == 0);  // they would stand beside other weights
  return state_->fill(source);
}

Result<std::unique_ptr<NativeAdapter>> NativeModel::State::load_adapter(const AdapterFactors& factors,
                                                                        const AdapterSpec& spec,
                                                                        const NativeWeight& beside) {
  const int64_t n_out = beside.n_out(), n_in = beside.n_in();
  std::vector<float> scaled = factors.b_Or;
  for (float& x : scaled) x = static_cast<float>(static_cast<double>(x) * spec.scale());
  const auto load = [&](const std::vector<float>& numbers, int64_t rows, int64_t columns) {
    return NativeWeight::load({DType::kF32, {rows, columns}, std::as_bytes(std::span<const float>(numbers))},
                              threads, &shelf);
  };
  auto adapter = std::make_unique<NativeAdapter>();
  adapter->a = TRY(load(factors.a_rI, spec.r, n_in));
  adapter->b = TRY(load(scaled, n_out, spec.r));
  if (factors.magnitude_O.empty()) return adapter;
  // DoRA: magnitude over norm of each row of W + scale B A, which is what merging with norms of one leaves.
  AdapterFactors plain = factors;
  plain.magnitude_O.clear();
  std::vector<float> w(static_cast<size_t>(n_out * n_in));
  for (int64_t o = 0; o < n_out; ++o) beside.read_row(o, w.data() + o * n_in);
  merge_adapter(plain, spec, n_out, n_in, w);
  for (int64_t o = 0; o < n_out; ++o) {
    double squares = 0;
    for (int64_t i = 0; i < n_in; ++i) {
      const auto x = static_cast<double>(w[static_cast<size_t>(o * n_in + i)]);
      squares += x * x;
    }
    adapter->factor.push_back(static_cast<float>(
        static_cast<double>(factors.magnitude_O[static_cast<size_t>(o)]) / std::sqrt(squares)));
  }
  return adapter;
}

Result<int32_t> NativeModel::add_adapter(const Adapter& adapter) {
  if (config().has_source())
    return fail(ErrorCode::kUnsupported, "adapters of encoder-decoders are not served unmerged: merge them");
  const int32_t number = ++state_->n_adapters;
  Status status;
  state_->model->visit([&](const TensorSpec& spec, NativeWeight& weight) {
    const auto found = adapter.factors.find(spec.name);
    if (!status || found == adapter.factors.end()) return;
    status = [&]() -> Status {
      if (spec.active < 1)
        return fail(ErrorCode::kUnsupported,
                    "adapters beside experts are not served unmerged: merge them first, "
                    "with 'volant compress --adapter'");
      weight.add_adapter(number, TRY(state_->load_adapter(found->second, adapter.spec, weight)));
      return {};
    }();
    if (!status) status = std::move(status).error().at(fmt::format("adapter of '{}'", spec.name));
  });
  if (!status) return std::move(status).error();
  return number;
}

const ModelConfig& NativeModel::config() const { return state_->config; }

std::span<const float> NativeModel::output(const Batch& batch) {
  const ThreadPool::Busy busy(state_->threads);
  state_->last = NativeAct();
  state_->ops.set_adapters(batch);
  {
    const NativeOps::Pass pass(state_->ops);
    state_->last = state_->model->output(state_->ops, batch);
  }
  return state_->last.numbers();
}

std::span<const float> NativeModel::hidden(const Batch& batch) {
  const ThreadPool::Busy busy(state_->threads);
  state_->last = NativeAct();
  state_->ops.set_adapters(batch);
  {
    const NativeOps::Pass pass(state_->ops);
    state_->last = state_->model->hidden(state_->ops, batch);
  }
  return state_->last.numbers();
}

int64_t NativeModel::page_bytes(const ModelConfig& config, DType kv_dtype) {
  return kv_shape(config, kv_dtype).page_bytes();
}

void NativeModel::copy_page(int32_t from, int32_t to) { state_->cache.copy_page(from, to); }

void NativeModel::observe_inputs(InputObserver see) {
  if (!see) return state_->ops.observe_inputs({});
  std::map<const NativeWeight*, std::string> names;
  state_->model->visit([&](const TensorSpec& spec, NativeWeight& weight) { names[&weight] = spec.name; });
  state_->ops.observe_inputs(
      [names = std::move(names), see = std::move(see)](const NativeWeight& w, const NativeAct& x) {
        see(names.at(&w), x.numbers(), x.columns());
      });
}

void NativeModel::share_out(int64_t n, const std::function<void(int64_t)>& each) {
  state_->threads.parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) each(i);
  });
}

void NativeModel::set_busy(bool busy) {
  if (!busy) {
    state_->busy.reset();
  } else if (!state_->busy) {
    state_->busy.emplace(state_->threads);
  }
}

uint64_t NativeModel::weight_bytes() const { return state_->weight_bytes; }
std::vector<std::span<const std::byte>> NativeModel::weight_memory() const {
  std::vector<std::span<const std::byte>> memory;
  state_->model->visit([&](const TensorSpec&, NativeWeight& weight) {
    memory.emplace_back(static_cast<const std::byte*>(weight.data()), weight.bytes());
  });
  return memory;
}

int NativeModel::n_threads() const { return state_->threads.size(); }

}  // namespace volant
