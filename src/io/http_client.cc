#include "io/http_client.h"

#include <curl/curl.h>

#include <memory>
#include <mutex>

#include "base/stop.h"

namespace volant {
namespace {

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
    return fail(ErrorCode::kUnavailable, "no answer: {}", curl_easy_strerror(code));
  };
  return make().at(request.url);
}

}  // namespace

Result<HttpResponse> http_request(const HttpRequest& request) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return fail(ErrorCode::kInternal, "libcurl could not start");
  curl_slist* list = nullptr;
  for (const std::string& header : request.headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, curl_slist_free_all);
  Answer answer{.body = {}, .most = request.max_response_bytes};
  curl_easy_setopt(curl.get(), CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, static_cast<long>(request.timeout_seconds));
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, ask_whether_to_stop);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  if (!request.body.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) return error_of(code, answer, request);
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  return HttpResponse{static_cast<int>(status), std::move(answer.body)};
}

}  // namespace volant
