#include "io/http_client.h"

#include <curl/curl.h>

#include <memory>

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

struct Answer {
  std::string body;
  uint64_t most;
  bool too_long = false;
};

size_t take(char* data, size_t size, size_t n, void* to) {
  auto& answer = *static_cast<Answer*>(to);
  answer.too_long = answer.body.size() + size * n > answer.most;
  if (answer.too_long) return 0;  // ends the transfer
  answer.body.append(data, size * n);
  return size * n;
}

int ask_whether_to_stop(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return stop_requested() ? 1 : 0;
}

Error error_of(CURLcode code, const Answer& answer, const HttpRequest& request) {
  const auto make = [&]() -> Error {
    switch (code) {
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
        return fail(ErrorCode::kInvalidArgument, "expected a URL like http://127.0.0.1:8080/v1");
      case CURLE_OPERATION_TIMEDOUT:
        return fail(ErrorCode::kTimeout, "no answer within {} seconds", request.timeout_seconds);
      case CURLE_WRITE_ERROR:
        if (answer.too_long)
          return fail(ErrorCode::kLimit, "the answer is longer than {} bytes", request.max_response_bytes);
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

}  // namespace

Result<HttpResponse> http_request(const HttpRequest& request) {
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
  Answer answer{.body = {}, .most = request.max_response_bytes};
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_TIMEOUT, static_cast<long>(request.timeout_seconds));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_WRITEFUNCTION, take);
  set(CURLOPT_WRITEDATA, &answer);
  set(CURLOPT_XFERINFOFUNCTION, ask_whether_to_stop);
  set(CURLOPT_NOPROGRESS, 0L);
  if (!request.body.empty()) {
    set(CURLOPT_POSTFIELDS, request.body.c_str());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  const CURLcode code = lib.easy_perform(curl.get());
  if (code != CURLE_OK) return error_of(code, answer, request);
  long status = 0;
  lib.easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  return HttpResponse{static_cast<int>(status), std::move(answer.body)};
}

}  // namespace volant
