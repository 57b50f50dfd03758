#include "server/console.h"

#include <array>

namespace volant {
namespace {

constexpr std::string_view kNoConsole =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Volant</title>"
    "<h1>Volant</h1><p>This server runs, and was built without its console. Build it with npm and "
    "<code>-DVOLANT_CONSOLE=ON</code>, or use the API: <a href=\"/v1/models\">/v1/models</a>, "
    "<a href=\"/healthz\">/healthz</a>, <a href=\"/metrics\">/metrics</a>.</p></html>\n";

std::string_view mime_of(std::string_view path) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTypes = {{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".json", "application/json"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".woff2", "font/woff2"},
      {".txt", "text/plain; charset=utf-8"},
      {".webmanifest", "application/manifest+json"},
  }};
  for (const auto& [ending, type] : kTypes) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

HttpHeaders page_headers(std::string_view mime) {
  return {{"Content-Type", std::string(mime)},
          {"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
           "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
          {"Referrer-Policy", "no-referrer"},
          {"X-Frame-Options", "DENY"}};
}

// Whether Accept-Encoding takes gzip; "gzip;q=0" does not.
bool takes_gzip(const HttpRequest& request) {
  const std::string* accepted = request.header("accept-encoding");
  if (accepted == nullptr) return false;
  const size_t at = accepted->find("gzip");
  if (at == std::string::npos) return false;
  const std::string_view rest = std::string_view(*accepted).substr(at + 4);
  return !rest.starts_with(";q=0") || rest.starts_with(";q=0.");
}

HttpResponse file_response(const HttpRequest& request, const ConsoleFile& file) {
  HttpResponse response;
  response.headers = page_headers(mime_of(file.path));
  // Files under assets/ carry a digest in their name and never change.
  const bool immutable = file.path.starts_with("/assets/");
  response.headers.emplace_back("Cache-Control",
                                immutable ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.emplace_back("ETag", std::string(file.etag));
  response.headers.emplace_back("Vary", "Accept-Encoding");
  const std::string* known = request.header("if-none-match");
  if (known != nullptr && known->find(file.etag) != std::string::npos) {
    response.status = 304;
    return response;
  }
  const bool gzip = !file.gzip.empty() && takes_gzip(request);
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.fixed_body = gzip ? file.gzip : file.bytes;
  return response;
}

}  // namespace

std::optional<HttpResponse> console_response(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") return {};
  const std::string_view path = request.path == "/" ? "/index.html" : std::string_view(request.path);
  for (const ConsoleFile& file : console_files()) {
    if (file.path == path) return file_response(request, file);
  }
  if (request.path != "/") return {};
  return HttpResponse{.status = 200,
                      .headers = page_headers("text/html; charset=utf-8"),
                      .body = {},
                      .fixed_body = kNoConsole};
}

}  // namespace volant
