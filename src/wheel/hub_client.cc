#include "wheel/hub_client.h"

#include <algorithm>

namespace volant {
namespace {

constexpr int kMaxRedirects = 5;
constexpr int kIdleSeconds = 60;

// "https://host:port" of a URL.
std::string origin_of(const std::string& url) {
  const size_t host = url.find("://");
  return host == std::string::npos ? "" : url.substr(0, std::min(url.find('/', host + 3), url.size()));
}

// Where a redirect leads.
Result<std::string> redirected(const std::string& from, const HttpReply& response) {
  const std::string location = header_of(response, "location");
  std::string to = location.starts_with('/') ? origin_of(from) + location : location;
  if (!HubClient::is_url(to)) return fail(ErrorCode::kParse, "the server redirects to nowhere");
  if (from.starts_with("https://") && !to.starts_with("https://"))
    return fail(ErrorCode::kForbidden, "the server redirects from https to http");
  return to;
}

}  // namespace

std::string header_of(const HttpReply& response, const std::string& name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? "" : found->second;
}

bool HubClient::is_url(std::string_view text) {
  return text.starts_with("https://") || text.starts_with("http://");
}

Result<HttpReply> HubClient::get(const std::string& start, const std::vector<std::string>& headers,
                                 const TakeBody& take, HttpReply* first) const {
  std::string url = start;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    HttpCall request{.url = url, .headers = headers, .timeout_seconds = kIdleSeconds};
    if (!token_.empty() && origin_of(url) == origin_of(endpoint_))
      request.headers.push_back("Authorization: Bearer " + token_);
    Result<HttpReply> response = http_download(request, take);
    if (!response) {
      Error error = std::move(response).error();
      return Error{error.code, std::move(error.message), start};
    }
    if (hop == 0 && first != nullptr) *first = *response;
    if (response->status / 100 != 3) return response;
    Result<std::string> next = redirected(url, *response);
    if (!next) return std::move(next).error().at(start);
    url = std::move(*next);
  }
  return fail(ErrorCode::kUnavailable, "more than {} redirects", kMaxRedirects).at(start);
}

Error HubClient::refused(int status, const std::string& id) const {
  if (status == 401 || status == 403) {
    if (!token_.empty())
      return fail(ErrorCode::kUnauthorized,
                  "the server refuses the token in HF_TOKEN for '{}' ({}): its owner has to admit you", id,
                  status);
    return fail(ErrorCode::kUnauthorized,
                "'{}' needs a token, or does not exist ({}): set HF_TOKEN to one that may read it", id,
                status);
  }
  if (status == 404)
    return fail(ErrorCode::kNotFound, "the server knows no '{}'; it is no folder here either", id);
  return fail(ErrorCode::kUnavailable, "the server answers with status {}", status);
}

}  // namespace volant
