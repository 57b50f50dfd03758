// Heads of HTTP/1.1 answers as text, and the answers that need no handler.
#pragma once
#include <string>
#include <string_view>

#include "server/http_exchange.h"

namespace volant {

// The reason phrase of a status: "Not Found".
const char* http_reason(int status);
// Status line and fields up to the empty line;
// `framing` is the Content-Length or Transfer-Encoding line, or empty.
std::string head_text(const HttpResponse& response, std::string_view framing, bool keep_alive);
// {"error":{...}} for what goes wrong before a handler sees the request;
// `message` holds nothing that JSON must escape.
HttpResponse plain_error(int status, std::string_view code, std::string_view message);

}  // namespace volant
