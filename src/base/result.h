// Result<T>: a value or an Error, with the member names of std::expected (which clang-tidy
// cannot read through libstdc++ 12). Status is Result<void>.
//
//   Result<Config> load(const Path& path) {
//     const std::string text = TRY(read_file(path));
//     if (text.empty()) return fail(ErrorCode::kParse, "expected TOML, got an empty file").at(path);
//     ...
//   }
#pragma once
#include <fmt/core.h>

#include <optional>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/error.h"

namespace volant {

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return *checked(); }
  const T& value() const& { return *const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(*checked()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return checked(); }
  const T* operator->() const { return const_cast<Result*>(this)->checked(); }
  template <class U>
  T value_or(U&& other) && {
    return has_value() ? std::move(*this).value() : static_cast<T>(std::forward<U>(other));
  }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  T* checked() {
    T* value = std::get_if<0>(&state_);
    if (value == nullptr) check_failed("Result has a value", __FILE__, __LINE__, error().to_string());
    return value;
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  void value() const {
    if (error_) check_failed("Status is ok", __FILE__, __LINE__, error_->to_string());
  }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// An error with a formatted message: fail(ErrorCode::kParse, "expected {} columns, got {}", 3, n).
template <class... Args>
Error fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...), ""};
}

}  // namespace volant

// The value of a Result, or return its error from the enclosing function. Not inside coroutines.
#define TRY(expression) VOLANT_TRY_AS(expression, VOLANT_JOIN(volant_result_, __COUNTER__))
#define VOLANT_TRY_AS(expression, result)          \
  ({                                               \
    auto&& result = (expression);                  \
    if (!result) return std::move(result).error(); \
    std::move(result).value();                     \
  })
#define VOLANT_JOIN(a, b) VOLANT_JOIN_INNER(a, b)
#define VOLANT_JOIN_INNER(a, b) a##b
