// The console: web/ built by npm, embedded in the program, sent with the headers that let a browser cache it
// and that keep foreign code out.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "server/http_exchange.h"

namespace volant {

struct ConsoleFile {
  std::string_view path;  // "/index.html"
  std::string_view etag;  // quoted
  std::string_view bytes, gzip;
};

// Generated when the program is built; empty without the console.
std::span<const ConsoleFile> console_files();

// The file that a GET or HEAD asks for ("/" is index.html), or nothing.
// Without the console, "/" is a page that says so.
std::optional<HttpResponse> console_response(const HttpRequest& request);

}  // namespace volant
