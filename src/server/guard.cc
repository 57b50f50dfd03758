#include "server/guard.h"

#include <algorithm>

#include "base/clock.h"
#include "server/api_error.h"

namespace volant {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return out;
}

bool changes_something(const HttpRequest& request) {
  return request.method != "GET" && request.method != "HEAD";
}

// The key of "Authorization: Bearer KEY" (any case of the word) or "X-Api-Key: KEY";
// empty when there is none.
std::string_view key_of(const HttpRequest& request) {
  if (const std::string* value = request.header("authorization")) {
    const std::string_view text = *value;
    if (text.size() > 7 && lower(text.substr(0, 7)) == "bearer ") {
      const size_t start = text.find_first_not_of(' ', 7);
      if (start != std::string_view::npos) return text.substr(start);
    }
    return {};
  }
  const std::string* value = request.header("x-api-key");
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

// The host of "http://localhost:8080".
std::string_view host_of_origin(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return origin.substr(scheme.size());
  }
  return {};
}

// A page of another site must not reach us through the user's browser.
// Not needed with keys, which no browser adds by itself.
std::optional<HttpResponse> check_origin(const HttpRequest& request) {
  const std::string* host = request.header("host");
  if (request.header_count("host") > 1 || (!request.http_1_0 && host == nullptr)) {
    return error_response(400, "bad_host", "expected one Host header");
  }
  if (host != nullptr && !is_loopback_host(*host)) {
    return error_response(
        403, "forbidden_host",
        "this server answers to localhost only, and the Host header names another one; give it a key "
        "and --host to serve others");
  }
  const std::string* origin = request.header("origin");
  if (origin == nullptr) {
    const std::string* site = request.header("sec-fetch-site");
    if (site != nullptr && changes_something(request) && *site == "cross-site") {
      return error_response(403, "forbidden_origin", "requests from pages of other sites are refused");
    }
    return {};
  }
  if (host == nullptr || lower(host_of_origin(*origin)) != lower(*host)) {
    return error_response(403, "forbidden_origin", "requests from pages of other sites are refused");
  }
  return {};
}

std::optional<HttpResponse> check_content_type(const HttpRequest& request) {
  if (request.method != "POST" || request.body.empty()) return {};
  const std::string* type = request.header("content-type");
  const std::string text = type == nullptr ? "" : lower(*type);
  if (text != "application/json" && !text.starts_with("application/json;")) {
    return error_response(415, "unsupported_media_type", "expected 'Content-Type: application/json'");
  }
  if (const std::string* coding = request.header("content-encoding");
      coding != nullptr && lower(*coding) != "identity") {
    return error_response(415, "unsupported_content_encoding", "expected a body without Content-Encoding");
  }
  return {};
}

}  // namespace

bool is_loopback_address(std::string_view address) {
  return address == "localhost" || address == "::1" ||
         (address.starts_with("127.") && address.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool is_loopback_host(std::string_view host) {
  if (host.starts_with("[")) {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view rest = host.substr(end + 1);
    return is_loopback_address(host.substr(1, end - 1)) && (rest.empty() || rest.starts_with(":"));
  }
  return is_loopback_address(lower(host.substr(0, host.find(':'))));
}

Guard::Guard(const KeyStore& keys, const GuardOptions& options) : keys_(keys), options_(options) {}

std::optional<HttpResponse> Guard::refuse(const HttpRequest& request, Access access) {
  const bool needs_key = keys_.required();
  if (!needs_key) {
    if (auto refused = check_origin(request)) return refused;
  }
  if (access == Access::kPublic) return {};
  if (needs_key) {
    if (auto refused = check_key(request, access)) return refused;
  }
  return check_content_type(request);
}

std::optional<HttpResponse> Guard::check_key(const HttpRequest& request, Access access) {
  if (blocked(request.peer)) {
    return error_response(429, "too_many_failures", "too many requests with a wrong key; wait a minute");
  }
  const std::string_view key = key_of(request);
  const std::string scope = key.empty() || key.size() > 512 ? std::string() : keys_.scope_of(key);
  if (scope.empty()) {
    if (!key.empty()) count_failure(request.peer);
    HttpResponse response =
        error_response(401, "invalid_api_key",
                       key.empty() ? "this server needs a key: send 'Authorization: Bearer KEY'"
                                   : "the key is not one of this server's");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (access == Access::kAdmin && scope != "all") {
    return error_response(403, "forbidden", "this key is for completions and feedback only");
  }
  return {};
}

bool Guard::blocked(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto at = failures_.find(peer);
  if (at == failures_.end()) return false;
  if (steady_seconds() - at->second.since > options_.window_seconds) {
    failures_.erase(at);
    return false;
  }
  return at->second.count >= options_.max_failures;
}

void Guard::count_failure(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const double now = steady_seconds();
  if (failures_.size() >= options_.max_addresses && !failures_.contains(peer)) {
    std::erase_if(failures_,
                  [&](const auto& entry) { return now - entry.second.since > options_.window_seconds; });
    if (failures_.size() >= options_.max_addresses) failures_.erase(failures_.begin());
  }
  Failures& entry = failures_[peer];
  if (entry.count == 0 || now - entry.since > options_.window_seconds) entry = {.count = 0, .since = now};
  ++entry.count;
}

}  // namespace volant
