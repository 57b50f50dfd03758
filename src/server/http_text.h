// HTTP/1.1 answers as text, and the answers that need no handler.
#pragma once
#include <string>
#include <string_view>

#include "server/http_exchange.h"

namespace volant {

// The reason phrase of a status: "Not Found".
const char* http_reason(int status);
// An answer with its Content-Length; `head_only`: without the body, as HEAD asks.
std::string whole_text(const HttpResponse& response, bool head_only, bool keep_alive);
// What is new of a stream, as a chunk or (HTTP/1.0) as it is.
std::string stream_text(const HttpExchange::Output& out, bool chunked, bool keep_alive);
// {"error":{...}} for what goes wrong before a handler sees the request;
// `message` holds nothing that JSON must escape.
HttpResponse plain_error(int status, std::string_view code, std::string_view message);

}  // namespace volant
