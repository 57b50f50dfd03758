// Server: the rooms of this folder put together. What `volant serve` runs.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "server/guard.h"
#include "server/http_server.h"
#include "server/model_host.h"

namespace volant {

struct ServerOptions {
  HttpOptions http;
  ModelHostOptions models;
  GuardOptions guard;
  Path model;             // serve this instead of the workspace's production version
  Path key_file;          // empty: no keys
  Path program;           // the volant that POST /api/improve starts; empty: this one
  int max_tokens = 1024;  // of a chat answer whose request names none
  double drain_seconds = 30;
};

class Server {
 public:
  // Loads the model and listens. `workspace` may be null when options.model is set; then answers are not
  // recorded and the admin API is absent. kForbidden when the address is not loopback and there is no key.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, Workspace* workspace);
  ~Server();

  int port() const;
  // Version and name of what is served; empty when there is no model yet.
  std::string serving() const;
  ModelHost& models();
  // Waits for Ctrl-C or SIGTERM (base/stop.h), then ends: accepts nothing new, lets what runs finish for at
  // most drain_seconds. True when nothing was cut off.
  bool run();
  // The end alone.
  bool drain();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace volant
