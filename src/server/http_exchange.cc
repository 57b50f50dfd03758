#include "server/http_exchange.h"

#include <algorithm>

namespace volant {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0 || (high == 0 && low == 0)) {
        return fail(ErrorCode::kInvalidArgument, "expected two hex digits after '%' in the URL");
      }
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

const std::string* HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return &value;
  }
  return nullptr;
}

size_t HttpRequest::header_count(std::string_view name) const {
  return static_cast<size_t>(
      std::count_if(headers.begin(), headers.end(), [&](const auto& field) { return field.first == name; }));
}

Status parse_target(std::string_view target, HttpRequest& request) {
  request.target = target;
  if (target.empty() || target[0] != '/') {
    return fail(ErrorCode::kInvalidArgument, "expected a path that begins with '/'");
  }
  const size_t mark = target.find('?');
  request.path = TRY(percent_decode(target.substr(0, mark), false));
  std::string_view query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), field.size() + 1));
    const size_t equals = field.find('=');
    std::string key = TRY(percent_decode(field.substr(0, equals), true));
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : field.substr(equals + 1);
    request.query[std::move(key)] = TRY(percent_decode(value, true));
  }
  return {};
}

HttpExchange::HttpExchange(HttpRequest request, size_t max_buffered_bytes, std::function<void()> notify)
    : request_(std::move(request)), max_buffered_bytes_(max_buffered_bytes), notify_(std::move(notify)) {}

void HttpExchange::send(HttpResponse response) {
  {
    const std::lock_guard lock(mutex_);
    if (head_set_ || closed_ || complete_) return;
    head_ = std::move(response);
    head_set_ = true;
    finished_ = true;
  }
  notify_();
}

void HttpExchange::start_stream(HttpResponse head) {
  {
    const std::lock_guard lock(mutex_);
    if (head_set_ || closed_ || complete_) return;
    head_ = std::move(head);
    head_set_ = true;
    streamed_ = true;
  }
  notify_();
}

bool HttpExchange::write(std::string_view bytes) {
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || finished_ || complete_ || !streamed_) return false;
    if (bytes.empty()) return true;
    full = pending_.size() + bytes.size() > max_buffered_bytes_;
    if (full) {
      aborted_ = finished_ = true;
    } else {
      pending_ += bytes;
    }
  }
  notify_();
  return !full;
}

void HttpExchange::finish() {
  {
    const std::lock_guard lock(mutex_);
    if (!streamed_ || finished_ || closed_) return;
    finished_ = true;
  }
  notify_();
}

bool HttpExchange::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void HttpExchange::on_close(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (complete_) return;
    if (!closed_) {
      on_close_ = std::move(callback);
      return;
    }
  }
  callback();
}

void HttpExchange::set_route(std::string route) {
  const std::lock_guard lock(mutex_);
  route_ = std::move(route);
}

std::string HttpExchange::route() const {
  const std::lock_guard lock(mutex_);
  return route_;
}

HttpExchange::Output HttpExchange::take() {
  const std::lock_guard lock(mutex_);
  Output out;
  out.streamed = streamed_;
  out.has_head = head_set_ && !head_taken_;
  if (out.has_head) out.head = std::move(head_);
  head_taken_ = head_set_;
  out.bytes = std::exchange(pending_, {});
  out.finished = finished_;
  out.aborted = aborted_;
  finish_taken_ = finished_;
  return out;
}

bool HttpExchange::has_output() const {
  const std::lock_guard lock(mutex_);
  return (head_set_ && !head_taken_) || !pending_.empty() || (finished_ && !finish_taken_);
}

void HttpExchange::close() {
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || complete_) return;
    closed_ = true;
    callback = std::exchange(on_close_, nullptr);
  }
  if (callback) callback();
  notify_();
}

void HttpExchange::complete() {
  std::function<void()> callback;  // destroyed outside the lock: it may own much
  const std::lock_guard lock(mutex_);
  complete_ = true;
  callback.swap(on_close_);
}

void HttpExchange::abandon() {
  bool unanswered = false;
  {
    const std::lock_guard lock(mutex_);
    if (complete_ || closed_ || finished_) return;
    unanswered = !head_set_;
    if (streamed_) aborted_ = finished_ = true;
  }
  if (unanswered) {
    send({.status = 500,
          .headers = {{"Content-Type", "application/json"}},
          .body = R"({"error":{"message":"the request was not answered; this is a defect of Volant",)"
                  R"("type":"server_error","param":null,"code":"internal_error"}})",
          .fixed_body = {}});
  } else {
    notify_();
  }
}

std::shared_ptr<HttpExchange> HttpExchange::handle(std::shared_ptr<HttpExchange> exchange) {
  HttpExchange* raw = exchange.get();
  return {raw, [owner = std::move(exchange)](HttpExchange*) { owner->abandon(); }};
}

}  // namespace volant
