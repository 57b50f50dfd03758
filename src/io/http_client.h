// Asks an HTTP server (http and https, by libcurl): one request, one answer, with limits on time and size.
// Follows no redirects (the caller sees their Location), keeps no connection. Names of hosts and what is sent
// are the caller's to vouch for.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace volant {

struct HttpCall {
  std::string url;
  std::string body = {};                  // sent by POST when not empty, else it is a GET
  std::vector<std::string> headers = {};  // "Content-Type: application/json"
  int timeout_seconds = 120;
  uint64_t max_response_bytes = 16ULL << 20;
};

struct HttpReply {
  int status = 0;  // any: an answer of 500 is an answer
  std::string body;
  std::map<std::string, std::string> headers =
      {};  // names in small letters; of one that is repeated, the last
};

// kInvalidArgument for a URL that is none or of another protocol, kUnavailable when nobody answers, kTimeout,
// kLimit for an answer that is too long, kCancelled when a stop was asked for.
Result<HttpReply> http_request(const HttpCall& request);

// The same for a body of any length: that of a 2xx answer is given to `take` piece by piece, with the status
// and the headers known, and is not in the response; an error of `take` ends the transfer and is returned.
// Here timeout_seconds is how long nothing may come, and max_response_bytes is for the bodies of other
// answers.
using TakeBody = std::function<Status(const HttpReply& head, std::string_view piece)>;
Result<HttpReply> http_download(const HttpCall& request, const TakeBody& take);

}  // namespace volant
