// The models that are loaded. With a workspace it follows the production alias: a new version is loaded
// beside the old one, takes its place, and the old one ends with its last request. Other versions are loaded
// when asked for by name. Thread safe.
#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "registry/versions.h"
#include "runtime/embedder.h"
#include "runtime/engine.h"
#include "tasks/predictor.h"
#include "wheel/workspace.h"

namespace volant {

struct ServedModel {
  std::string version;  // "v3"; of a model without a workspace: its name
  std::string name;     // of the workspace, or of the folder
  std::string fingerprint;
  int64_t created = 0;                // seconds since 1970
  std::vector<std::string> adapters;  // names; the first is adapter number 1 of the engine
  bool registered = false;            // answers are recorded under `version`
  std::string dtype;                  // of most of its bytes: "q8_0"
  // One of them: a language model that answers, an encoder that gives embeddings, or a model of predictions.
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Embedder> embedder;
  std::unique_ptr<Predictor> predictor;

  // The number of the adapter that `model` of a request names, alone or after "base:"; 0: none.
  int32_t adapter_of(const std::string& model) const;
};
using ServedModelPtr = std::shared_ptr<ServedModel>;

struct ModelHostOptions {
  EngineOptions engine;
  std::vector<std::string> adapter_names = {};  // of engine.adapters, for a model without workspace
  double poll_seconds = 0.5;                    // how often the production alias is read
  double retry_seconds = 30;                    // after a version could not be loaded
  int max_extra_models = 1;                     // loaded besides production, the one used last
};

class ModelHost {
 public:
  // `model`: a folder or file to serve under its own name; empty: production
  // of `workspace`. A workspace without a production version is fine: there
  // is no model yet. `workspace` may be null when `model` is given.
  static Result<std::unique_ptr<ModelHost>> open(const ModelHostOptions& options, Workspace* workspace,
                                                 const Path& model);
  ~ModelHost();

  // By version, alias, name of the workspace, name of the folder, or name of an adapter. kNotFound, or
  // kUnavailable when the workspace has no production version yet.
  Result<ServedModelPtr> find(const std::string& name);
  // The kNotFound of find(): says which models there are.
  Error unknown(const std::string& name);
  // Null when there is none yet.
  ServedModelPtr current() const;
  // The names that find() takes, for /v1/models: {"id","object","created","owned_by"}.
  Result<JsonArray> list();
  // Why the newest production version is not the one that is served; empty when all is well.
  std::string trouble() const;
  int64_t swaps() const;
  // Reads the alias now instead of at the next poll.
  void poke();
  // Waits until every replaced engine has ended.
  void wait_for_retired();

 private:
  class Retirer;
  ModelHost(const ModelHostOptions& options, Workspace* workspace);
  Result<ServedModelPtr> load(const Path& path, const EngineOptions& engine) const;
  Result<ServedModelPtr> load_version(const ModelVersion& version, const EngineOptions& engine);
  Result<ServedModelPtr> extra(const ModelVersion& version);
  void poll();
  void follow_production();

  const ModelHostOptions options_;
  Workspace* const workspace_;
  std::shared_ptr<Retirer> retirer_;
  mutable std::mutex mutex_;
  ServedModelPtr current_;
  std::vector<ServedModelPtr> extras_;  // the last used is last
  std::string trouble_, failed_version_;
  double failed_at_ = 0;
  int64_t swaps_ = 0;
  std::mutex load_mutex_;  // one load of an extra model at a time
  std::condition_variable wake_;
  bool stopping_ = false, poked_ = false;
  std::thread poller_;
};

}  // namespace volant
