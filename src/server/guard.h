// The guard at the door: decides from a request's head whether it may go on. With keys: a right one is
// needed. Without (loopback only): the request must come from a program or page of this machine, so Host and
// Origin are checked against DNS rebinding and cross-site requests. Thread safe.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "server/http_exchange.h"
#include "server/key_store.h"

namespace volant {

// What a request wants to do.
enum class Access {
  kPublic,  // console files, health
  kModels,  // completions, models, feedback
  kAdmin,   // everything else
};

struct GuardOptions {
  int max_failures = 10;        // wrong keys of one address ...
  double window_seconds = 60;   // ... in this time; then it waits
  size_t max_addresses = 4096;  // remembered
};

class Guard {
 public:
  explicit Guard(const KeyStore& keys, const GuardOptions& options = {});
  // The answer that refuses the request, or nothing when it may go on.
  std::optional<HttpResponse> refuse(const HttpRequest& request, Access access);

 private:
  struct Failures {
    int count = 0;
    double since = 0;
  };
  std::optional<HttpResponse> check_key(const HttpRequest& request, Access access);
  bool blocked(const std::string& peer);
  void count_failure(const std::string& peer);

  const KeyStore& keys_;
  const GuardOptions options_;
  std::mutex mutex_;
  std::map<std::string, Failures> failures_;
};

// "127.0.0.1:8080", "localhost", "[::1]:80": a name of this machine, whatever the port.
bool is_loopback_host(std::string_view host);
// "127.0.0.1", "::1", "localhost": an address that only this machine reaches.
bool is_loopback_address(std::string_view address);

}  // namespace volant
