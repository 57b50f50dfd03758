// Asks an HTTP server (http and https, by libcurl): one request, one answer, with limits on time and size.
// Follows no redirects, keeps no connection. Names of hosts and what is sent are the caller's to vouch for.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace volant {

struct HttpRequest {
  std::string url;
  std::string body = {};                  // sent by POST when not empty, else it is a GET
  std::vector<std::string> headers = {};  // "Content-Type: application/json"
  int timeout_seconds = 120;
  uint64_t max_response_bytes = 16ULL << 20;
};

struct HttpResponse {
  int status = 0;  // any: an answer of 500 is an answer
  std::string body;
};

// kInvalidArgument for a URL that is none or of another protocol, kUnavailable when nobody answers, kTimeout,
// kLimit for an answer that is too long, kCancelled when a stop was asked for.
Result<HttpResponse> http_request(const HttpRequest& request);

}  // namespace volant
