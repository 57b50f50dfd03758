#include "server/model_host.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

namespace volant {

// Ends engines on a thread of its own: the last request of an engine is released on the engine's own thread,
// which could not wait for itself.
class ModelHost::Retirer {
 public:
  Retirer() : thread_([this] { run(); }) {}
  ~Retirer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  static ServedModelPtr adopt(const std::shared_ptr<Retirer>& retirer, std::unique_ptr<ServedModel> model) {
    {
      const std::lock_guard lock(retirer->mutex_);
      ++retirer->alive_;
    }
    return {model.release(), [retirer](ServedModel* retired) { retirer->retire(retired); }};
  }

  // Waits until at most `n` models are alive.
  void wait_for(size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return alive_ <= n; });
  }

 private:
  void retire(ServedModel* model) {
    {
      const std::lock_guard lock(mutex_);
      queue_.emplace_back(model);
    }
    changed_.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::unique_ptr<ServedModel> model = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      log_debug("model {} is no longer used", model->version);
      model.reset();
      lock.lock();
      --alive_;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<ServedModel>> queue_;
  size_t alive_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

namespace {

constexpr size_t kMaxNamesInErrors = 8;

std::string name_of(const Path& path) {
  const Path clean = path.lexically_normal();
  std::string name =
      clean.filename().empty() ? clean.parent_path().filename().string() : clean.filename().string();
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name.empty() ? "model" : name;
}

// A model that cannot produce one token is not taken up.
Status try_out(ServedModel& model) {
  if (model.embedder) {
    const std::vector<int32_t> one_token{0};
    TRY(model.embedder->embed_ids(std::span(&one_token, 1)));
    return {};
  }
  if (model.predictor) return {};  // loading it checked every shape
  Engine& engine = *model.engine;
  GenerateRequest request;
  request.prompt = {static_cast<int32_t>(engine.config().bos_token_id.value_or(0))};
  request.max_tokens = 1;
  request.sampling.temperature = 0;
  const GenerateResult result = TRY(engine.generate(std::move(request)));
  if (result.finish == FinishReason::kError) {
    return result.error.value_or(fail(ErrorCode::kInternal, "the model does not answer"));
  }
  return {};
}

JsonObject model_object(const std::string& id, int64_t created) {
  return {{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", "volant"}};
}

// "2026-11-22T08:27:31.045Z" as seconds since 1970; 0 when it is something else.
int64_t unix_seconds(const std::string& iso) {
  std::tm time{};
  return strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr ? 0
                                                                      : static_cast<int64_t>(timegm(&time));
}

}  // namespace

int32_t ServedModel::adapter_of(const std::string& model) const {
  for (size_t i = 0; i < adapters.size(); ++i)
    if (model == adapters[i] || model == name + ":" + adapters[i]) return static_cast<int32_t>(i + 1);
  return 0;
}

ModelHost::ModelHost(const ModelHostOptions& options, Workspace* workspace)
    : options_(options), workspace_(workspace), retirer_(std::make_shared<Retirer>()) {}

ModelHost::~ModelHost() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (poller_.joinable()) poller_.join();
  {
    const std::lock_guard lock(mutex_);
    current_.reset();
    extras_.clear();
  }
  retirer_->wait_for(0);
}

Result<std::unique_ptr<ModelHost>> ModelHost::open(const ModelHostOptions& options, Workspace* workspace,
                                                   const Path& model) {
  std::unique_ptr<ModelHost> host(new ModelHost(options, workspace));
  if (!model.empty()) {
    host->current_ = TRY(host->load(model, options.engine));
    for (const std::string& name : options.adapter_names)
      if (name == host->current_->name || name == "production")
        return fail(ErrorCode::kInvalidArgument, "an adapter cannot be called '{}', as its model is", name);
    host->current_->adapters = options.adapter_names;
    return host;
  }
  CHECK(workspace != nullptr);
  host->follow_production();
  if (!host->current_ && !host->trouble_.empty()) log_warning("{}", host->trouble_);
  host->poller_ = std::thread([raw = host.get()] { raw->poll(); });
  return host;
}

Result<ServedModelPtr> ModelHost::load(const Path& path, const EngineOptions& engine) const {
  auto model = std::make_unique<ServedModel>();
  Checkpoint checkpoint = TRY(Checkpoint::open(path));
  const ModelOutput output = checkpoint.config().output;
  if (output != ModelOutput::kNextToken && !engine.adapters.empty())
    return fail(ErrorCode::kUnsupported, "adapters beside {} are not served: merge them first",
                output == ModelOutput::kHidden ? "an encoder" : "a model with labels");
  model->name = model->version = name_of(path);
  model->created = now_unix_seconds();
  model->dtype = checkpoint.dtype_name();
  model->fingerprint =
      "fp_" + sha256_hex(path.string() + "|" + std::to_string(checkpoint.bytes())).substr(0, 12);
  if (output == ModelOutput::kHidden) {
    model->embedder = TRY(Embedder::open(path, {.n_threads = engine.n_threads}));
  } else if (output == ModelOutput::kLabels) {
    model->predictor = TRY(Predictor::load(path, {.n_threads = engine.n_threads}));
  } else {
    model->engine = TRY(Engine::open(std::move(checkpoint), engine));
  }
  return Retirer::adopt(retirer_, std::move(model));
}

Result<ServedModelPtr> ModelHost::load_version(const ModelVersion& version, const EngineOptions& engine) {
  const Path path = TRY(version_model_path(workspace_->registry(), version));
  ServedModelPtr model = TRY(load(path, engine));
  TRY(try_out(*model));
  model->version = version.version;
  model->name = workspace_->config().name;
  model->created = unix_seconds(version.created_at);
  model->fingerprint = "fp_" + (version.gguf.empty() ? version.hf : version.gguf).substr(0, 12);
  model->registered = true;
  return model;
}

ServedModelPtr ModelHost::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::string ModelHost::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

int64_t ModelHost::swaps() const {
  const std::lock_guard lock(mutex_);
  return swaps_;
}

Result<ServedModelPtr> ModelHost::find(const std::string& name) {
  const ServedModelPtr current = this->current();
  if (current && (name == current->version || name == current->name || name == "production" ||
                  current->adapter_of(name) > 0))
    return current;
  if (workspace_ == nullptr || (current && !current->registered)) return unknown(name);
  if (name == "production" || name == workspace_->config().name) {
    const std::string why = trouble();
    return fail(ErrorCode::kUnavailable, "there is no production version yet{}; make one with 'volant run'",
                why.empty() ? "" : " (" + why + ")");
  }
  const Result<ModelVersion> version = find_version(workspace_->registry(), name);
  if (!version) return version.error().code == ErrorCode::kNotFound ? unknown(name) : version.error();
  if (current && version->version == current->version) return current;
  return extra(*version);
}

Error ModelHost::unknown(const std::string& name) {
  std::string names;
  const Result<JsonArray> all = list();
  const size_t n = all ? all->size() : 0;
  for (size_t i = 0; i < std::min(n, kMaxNamesInErrors); ++i)
    names += (i == 0 ? ": '" : ", '") + std::string((*all)[i].at("id").as_string()) + "'";
  return fail(ErrorCode::kNotFound, "the model '{}' does not exist; GET /v1/models lists those that do{}{}",
              name.substr(0, 128), names, n > kMaxNamesInErrors ? ", ..." : "");
}

Result<ServedModelPtr> ModelHost::extra(const ModelVersion& version) {
  const std::lock_guard loading(load_mutex_);
  const auto take = [&]() -> ServedModelPtr {
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(extras_.begin(), extras_.end(), [&](const ServedModelPtr& model) {
      return model->version == version.version;
    });
    if (at == extras_.end()) return nullptr;
    std::rotate(at, at + 1, extras_.end());
    return extras_.back();
  };
  if (ServedModelPtr loaded = take()) return loaded;
  EngineOptions engine = options_.engine;
  engine.n_slots = std::min(engine.n_slots, 2);
  log_info("loading {} because a request asks for it", version.version);
  ServedModelPtr model = TRY(load_version(version, engine));
  const std::lock_guard lock(mutex_);
  extras_.push_back(model);
  while (extras_.size() > static_cast<size_t>(std::max(1, options_.max_extra_models)))
    extras_.erase(extras_.begin());
  return model;
}

Result<JsonArray> ModelHost::list() {
  JsonArray out;
  const ServedModelPtr current = this->current();
  if (current) {
    out.push_back(model_object(current->name, current->created));
    for (const std::string& adapter : current->adapters)
      out.push_back(model_object(current->name + ":" + adapter, current->created));
  }
  if (workspace_ == nullptr || (current && !current->registered)) return out;
  const std::vector<ModelVersion> versions = TRY(list_versions(workspace_->registry()));
  for (const ModelVersion& version : versions) {
    for (const std::string& alias : version.aliases) {
      if (alias != "production" || current)
        out.push_back(model_object(alias, unix_seconds(version.created_at)));
    }
  }
  for (const ModelVersion& version : versions) {
    out.push_back(model_object(version.version, unix_seconds(version.created_at)));
  }
  return out;
}

void ModelHost::poke() {
  {
    const std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_all();
}

void ModelHost::wait_for_retired() {
  size_t alive = 0;
  {
    const std::lock_guard lock(mutex_);
    alive = extras_.size() + (current_ ? 1 : 0);
  }
  retirer_->wait_for(alive);
}

void ModelHost::poll() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::duration<double>(options_.poll_seconds),
                     [&] { return stopping_ || poked_; });
      if (stopping_) return;
      poked_ = false;
    }
    follow_production();
  }
}

void ModelHost::follow_production() {
  const auto target = alias_target(workspace_->registry(), "production");
  if (!target) {
    const std::lock_guard lock(mutex_);
    trouble_ = "cannot read the registry: " + target.error().to_string();
    return;
  }
  if (!target->has_value()) return;
  const std::string wanted = **target;
  {
    const std::lock_guard lock(mutex_);
    if (current_ && current_->version == wanted) {
      trouble_.clear();
      return;
    }
    if (wanted == failed_version_ && steady_seconds() - failed_at_ < options_.retry_seconds) return;
  }
  const double started = steady_seconds();
  const Result<ModelVersion> version = find_version(workspace_->registry(), wanted);
  Result<ServedModelPtr> model =
      version ? load_version(*version, options_.engine) : Result<ServedModelPtr>(version.error());
  ServedModelPtr old;  // released after the lock
  const std::lock_guard lock(mutex_);
  if (!model) {
    failed_version_ = wanted;
    failed_at_ = steady_seconds();
    trouble_ = fmt::format("cannot load production {}: {}{}", wanted, model.error().to_string(),
                           current_ ? "; still serving " + current_->version : "");
    log_error("{}", trouble_);
    return;
  }
  trouble_.clear();
  failed_version_.clear();
  old = std::exchange(current_, std::move(*model));
  if (old) ++swaps_;
  log_info("serving {} of {}{} (loaded in {:.2f} s)", current_->version, current_->name,
           old ? ", instead of " + old->version : "", steady_seconds() - started);
}

}  // namespace volant
