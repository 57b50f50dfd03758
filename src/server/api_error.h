// Errors as the OpenAI API writes them: {"error":{"message","type","param","code"}}.
#pragma once
#include <string>
#include <string_view>

#include "base/json.h"
#include "server/http_exchange.h"

namespace volant {

// Status and code by the error's code; `where` of the error is the request's field, "param".
HttpResponse error_response(const Error& error);
HttpResponse error_response(int status, std::string_view code, std::string_view message,
                            std::string_view param = {});
// The object under "error" alone, for the middle of a stream.
JsonObject error_object(const Error& error);

HttpResponse json_response(const Json& body, int status = 200);

}  // namespace volant
