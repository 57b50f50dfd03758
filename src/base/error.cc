#include "base/error.h"

namespace volant {

const ErrorCodeInfo& error_code_info(ErrorCode code) {
  // Exit statuses: 2 usage, 3 bad input, 4 missing, 5 environment, 6 refused by a gate, 130 stopped,
  // 70 a defect.
  static constexpr ErrorCodeInfo kInvalidArgument{"invalid_argument", 400, 2};
  static constexpr ErrorCodeInfo kParse{"parse_error", 400, 3};
  static constexpr ErrorCodeInfo kNotFound{"not_found", 404, 4};
  static constexpr ErrorCodeInfo kAlreadyExists{"already_exists", 409, 4};
  static constexpr ErrorCodeInfo kUnsupported{"unsupported", 400, 3};
  static constexpr ErrorCodeInfo kLimit{"limit_exceeded", 413, 3};
  static constexpr ErrorCodeInfo kIo{"io_error", 500, 5};
  static constexpr ErrorCodeInfo kConflict{"conflict", 409, 5};
  static constexpr ErrorCodeInfo kUnauthorized{"unauthorized", 401, 5};
  static constexpr ErrorCodeInfo kForbidden{"forbidden", 403, 5};
  static constexpr ErrorCodeInfo kRefused{"refused", 409, 6};
  static constexpr ErrorCodeInfo kUnavailable{"unavailable", 503, 5};
  static constexpr ErrorCodeInfo kTimeout{"timeout", 504, 5};
  static constexpr ErrorCodeInfo kCancelled{"cancelled", 499, 130};
  static constexpr ErrorCodeInfo kInternal{"internal_error", 500, 70};
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return kInvalidArgument;
    case ErrorCode::kParse:
      return kParse;
    case ErrorCode::kNotFound:
      return kNotFound;
    case ErrorCode::kAlreadyExists:
      return kAlreadyExists;
    case ErrorCode::kUnsupported:
      return kUnsupported;
    case ErrorCode::kLimit:
      return kLimit;
    case ErrorCode::kIo:
      return kIo;
    case ErrorCode::kConflict:
      return kConflict;
    case ErrorCode::kUnauthorized:
      return kUnauthorized;
    case ErrorCode::kForbidden:
      return kForbidden;
    case ErrorCode::kRefused:
      return kRefused;
    case ErrorCode::kUnavailable:
      return kUnavailable;
    case ErrorCode::kTimeout:
      return kTimeout;
    case ErrorCode::kCancelled:
      return kCancelled;
    case ErrorCode::kInternal:
      return kInternal;
  }
  return kInternal;
}

std::string Error::to_string() const { return where.empty() ? message : where + ": " + message; }

Error Error::at(std::string_view place) && {
  where = where.empty() ? std::string(place) : std::string(place) + ": " + where;
  return std::move(*this);
}

}  // namespace volant
