// Asks a server that answers like the Hugging Face hub: redirects are followed here, so that the token goes
// to the endpoint alone, and what a status means is said in words. Knows no models and no files.
#pragma once
#include <string>
#include <vector>

#include "io/http_client.h"

namespace volant {

// A header of an answer, its name in small letters; empty when it is not there.
std::string header_of(const HttpReply& response, const std::string& name);

class HubClient {
 public:
  // `endpoint` without a slash at its end; `token` may be empty.
  HubClient(std::string endpoint, std::string token)
      : endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  // One answer, at most five redirects away; `first` is the one before any of them. A redirect from https to
  // http is kForbidden. Errors name `start` alone: the address of a redirect may hold a signature.
  Result<HttpReply> get(const std::string& start, const std::vector<std::string>& headers,
                        const TakeBody& take, HttpReply* first = nullptr) const;

  // What a status other than 2xx means for who asked for `id`.
  Error refused(int status, const std::string& id) const;
  // Whether the same question may get a better answer later.
  static bool may_come_right(int status) { return status == 408 || status == 429 || status / 100 == 5; }
  static bool is_url(std::string_view text);

 private:
  std::string endpoint_, token_;
};

}  // namespace volant
