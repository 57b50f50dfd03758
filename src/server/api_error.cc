#include "server/api_error.h"

namespace volant {
namespace {

std::string_view type_of(int status) {
  if (status == 401 || status == 403) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

JsonObject error_fields(int status, std::string_view code, std::string_view message, std::string_view param) {
  JsonObject error;
  error["message"] = message;
  error["type"] = type_of(status);
  error["param"] = param.empty() ? Json(nullptr) : Json(param);
  error["code"] = code;
  return error;
}

}  // namespace

HttpResponse error_response(int status, std::string_view code, std::string_view message,
                            std::string_view param) {
  HttpResponse response =
      json_response(JsonObject{{"error", error_fields(status, code, message, param)}}, status);
  if (status == 503 || status == 429)
    response.headers.emplace_back("Retry-After", status == 429 ? "10" : "1");
  return response;
}

HttpResponse error_response(const Error& error) {
  const ErrorCodeInfo& info = error_code_info(error.code);
  return error_response(info.http_status, info.name, error.message, error.where);
}

JsonObject error_object(const Error& error) {
  const ErrorCodeInfo& info = error_code_info(error.code);
  return error_fields(info.http_status, info.name, error.message, error.where);
}

HttpResponse json_response(const Json& body, int status) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
          .body = dump_json(body),
          .fixed_body = {}};
}

}  // namespace volant
