#include "server/http_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <iterator>

namespace volant {
namespace {

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[40];
  const size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return {text, size};
}

// Status line and fields up to the empty line; `framing` is the Content-Length or Transfer-Encoding line, or
// empty.
std::string head_text(const HttpResponse& response, std::string_view framing, bool keep_alive) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nX-Content-Type-Options: nosniff\r\n",
                                response.status, http_reason(response.status), http_date());
  for (const auto& [name, value] : response.headers) {
    out += name + ": ";
    std::copy_if(value.begin(), value.end(), std::back_inserter(out),
                 [](char c) { return c != '\r' && c != '\n'; });
    out += "\r\n";
  }
  out += framing;
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return out;
}

}  // namespace

const char* http_reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

std::string whole_text(const HttpResponse& response, bool head_only, bool keep_alive) {
  const std::string_view body = response.body.empty() ? response.fixed_body : std::string_view(response.body);
  const bool bodyless = response.status == 204 || response.status == 304;
  std::string text = head_text(
      response, bodyless ? std::string() : fmt::format("Content-Length: {}\r\n", body.size()), keep_alive);
  if (!head_only && !bodyless) text += body;
  return text;
}

std::string stream_text(const HttpExchange::Output& out, bool chunked, bool keep_alive) {
  std::string text;
  if (out.has_head) text = head_text(out.head, chunked ? "Transfer-Encoding: chunked\r\n" : "", keep_alive);
  if (!out.bytes.empty()) {
    if (chunked) text += fmt::format("{:x}\r\n", out.bytes.size());
    text += out.bytes;
    if (chunked) text += "\r\n";
  }
  if (chunked && out.finished && !out.aborted) text += "0\r\n\r\n";
  return text;
}

HttpResponse plain_error(int status, std::string_view code, std::string_view message) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}},
          .body = fmt::format(R"({{"error":{{"message":"{}","type":"{}","param":null,"code":"{}"}}}})",
                              message, status >= 500 ? "server_error" : "invalid_request_error", code),
          .fixed_body = {}};
}

}  // namespace volant
