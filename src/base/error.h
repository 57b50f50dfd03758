// Error: what every room returns when something expected went wrong (files, config,
// network, user input), and the one table from its code to exit status, HTTP status and name.
// A message says what was expected, what was got and what to do; `where` says the place
// ("volant.toml:12", "train.jsonl:34", "model.safetensors: tensor 'norm.weight'").
#pragma once
#include <string>
#include <string_view>

namespace volant {

enum class ErrorCode {
  kInvalidArgument,  // a value the caller gave is wrong: flag, config key, request field
  kParse,            // a file or message is not what its format says
  kNotFound,
  kAlreadyExists,
  kUnsupported,  // well formed, but not something that is done here
  kLimit,        // over a size, count or rate limit
  kIo,           // the operating system refused: disk full, permission, broken pipe
  kConflict,     // somebody else holds it, or it changed meanwhile
  kUnauthorized,
  kForbidden,
  kRefused,  // a gate said no
  kUnavailable,
  kTimeout,
  kCancelled,
  kInternal,  // a defect of Volant
};

struct ErrorCodeInfo {
  const char* name;  // as in JSON, "not_found"
  int http_status;
  int exit_status;
};

// The row of the table for `code`.
const ErrorCodeInfo& error_code_info(ErrorCode code);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string where;

  // "where: message", or the message alone when there is no place to name.
  std::string to_string() const;
  // The same error with `place` put before its place, as it travels outwards.
  Error at(std::string_view place) &&;
};

}  // namespace volant
