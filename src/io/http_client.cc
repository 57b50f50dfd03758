#include "io/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>

#include "base/stop.h"
#include "io/shared_library.h"

namespace volant {
namespace {

// libcurl, loaded when it is first asked for: linked in, it and the libraries under it would double the time
// that every command needs to start.
struct Curl {
  decltype(&curl_global_init) global_init = nullptr;
  decltype(&curl_easy_init) easy_init = nullptr;
  decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&curl_easy_setopt) easy_setopt = nullptr;
  decltype(&curl_easy_perform) easy_perform = nullptr;
  decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&curl_easy_strerror) easy_strerror = nullptr;
  decltype(&curl_slist_append) slist_append = nullptr;
  decltype(&curl_slist_free_all) slist_free_all = nullptr;
  SharedLibrary library{"libcurl.so.4"};

  Curl() {
    const auto find = [&](auto& function, const char* name) { library.find(function, name); };
    find(global_init, "curl_global_init");
    find(easy_init, "curl_easy_init");
    find(easy_cleanup, "curl_easy_cleanup");
    find(easy_setopt, "curl_easy_setopt");
    find(easy_perform, "curl_easy_perform");
    find(easy_getinfo, "curl_easy_getinfo");
    find(easy_strerror, "curl_easy_strerror");
    find(slist_append, "curl_slist_append");
    find(slist_free_all, "curl_slist_free_all");
    if (library.present()) global_init(CURL_GLOBAL_DEFAULT);
  }
};

const Curl& libcurl() {
  static const Curl curl;
  return curl;
}

constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr long kConnectSeconds = 30;

struct Answer {
  CURL* curl = nullptr;
  uint64_t most = 0;
  const TakeBody* take = nullptr;  // none: every body is kept
  HttpReply response = {};
  size_t header_bytes = 0;
  bool too_long = false;
  std::optional<Error> refused = {};  // what `take` said
};

size_t take_header(char* data, size_t size, size_t n, void* to) {
  auto& answer = *static_cast<Answer*>(to);
  const std::string_view line(data, size * n);
  if (line.starts_with("HTTP/")) answer.response.headers.clear();  // an answer after "100 Continue"
  answer.header_bytes += line.size();
  answer.too_long = answer.header_bytes > kMaxHeaderBytes;
  if (answer.too_long) return 0;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t begin = line.find_first_not_of(" \t", colon + 1), end = line.find_last_not_of(" \t\r\n");
  answer.response.headers[name] =
      begin == std::string_view::npos || end < begin ? "" : std::string(line.substr(begin, end - begin + 1));
  return line.size();
}

size_t take_body(char* data, size_t size, size_t n, void* to) {
  auto& answer = *static_cast<Answer*>(to);
  HttpReply& response = answer.response;
  if (response.status == 0) {
    long status = 0;
    libcurl().easy_getinfo(answer.curl, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
  }
  const std::string_view piece(data, size * n);
  if (answer.take != nullptr && response.status / 100 == 2) {
    Status taken = (*answer.take)(response, piece);
    if (taken) return piece.size();
    answer.refused = std::move(taken).error();
    return 0;
  }
  answer.too_long = response.body.size() + piece.size() > answer.most;
  if (answer.too_long) return 0;  // ends the transfer
  response.body += piece;
  return piece.size();
}

int ask_whether_to_stop(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return stop_requested() ? 1 : 0;
}

Error error_of(CURLcode code, const Answer& answer, const HttpCall& request) {
  const auto make = [&]() -> Error {
    switch (code) {
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
        return fail(ErrorCode::kInvalidArgument, "expected a URL like http://127.0.0.1:8080/v1");
      case CURLE_OPERATION_TIMEDOUT:
        return fail(ErrorCode::kTimeout, "no answer within {} seconds", request.timeout_seconds);
      case CURLE_WRITE_ERROR:
        if (answer.too_long)
          return fail(ErrorCode::kLimit, "the answer is longer than {} bytes, or its headers than {}",
                      request.max_response_bytes, kMaxHeaderBytes);
        break;
      case CURLE_ABORTED_BY_CALLBACK:
        return fail(ErrorCode::kCancelled, "stopped while waiting for an answer");
      default:
        break;
    }
    return fail(ErrorCode::kUnavailable, "no answer: {}", libcurl().easy_strerror(code));
  };
  return make().at(request.url);
}

Result<HttpReply> transfer(const HttpCall& request, const TakeBody* take) {
  const Curl& lib = libcurl();
  if (!lib.library.present())
    return fail(ErrorCode::kUnsupported, "asking a server needs libcurl (libcurl.so.4): install libcurl4")
        .at(request.url);
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(lib.easy_init(), lib.easy_cleanup);
  if (!curl) return fail(ErrorCode::kInternal, "libcurl could not start");
  const auto set = [&](CURLoption option, auto value) { lib.easy_setopt(curl.get(), option, value); };
  curl_slist* list = nullptr;
  for (const std::string& header : request.headers) list = lib.slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, lib.slist_free_all);
  Answer answer{.curl = curl.get(), .most = request.max_response_bytes, .take = take};
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, headers.get());
  if (take == nullptr) {
    set(CURLOPT_TIMEOUT, static_cast<long>(request.timeout_seconds));
  } else {
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.timeout_seconds));
  }
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HEADERFUNCTION, take_header);
  set(CURLOPT_HEADERDATA, &answer);
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, &answer);
  set(CURLOPT_XFERINFOFUNCTION, ask_whether_to_stop);
  set(CURLOPT_NOPROGRESS, 0L);
  if (!request.body.empty()) {
    set(CURLOPT_POSTFIELDS, request.body.c_str());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  const CURLcode code = lib.easy_perform(curl.get());
  if (answer.refused) return *std::move(answer.refused);
  if (code != CURLE_OK) return error_of(code, answer, request);
  long status = 0;
  lib.easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.response.status = static_cast<int>(status);
  return std::move(answer.response);
}

}  // namespace

Result<HttpReply> http_request(const HttpCall& request) { return transfer(request, nullptr); }

Result<HttpReply> http_download(const HttpCall& request, const TakeBody& take) {
  return transfer(request, &take);
}

}  // namespace volant
