// The texts of files, one after the other: rows of JSON Lines (`text`, or the contents of `messages`; plain,
// .gz or .zst), and any other file as one text in whatever charset it has.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/file.h"

namespace volant {

class TextFiles {
 public:
  // kNotFound when a file is absent. A name with `*`, `?` or `[` is a shell pattern.
  static Result<TextFiles> open(const std::vector<std::string>& names);
  TextFiles(TextFiles&&) noexcept;
  TextFiles& operator=(TextFiles&&) noexcept;
  ~TextFiles();
  // The next text, nothing at the end. `language` is a row's "lang", when it has one.
  Result<std::optional<std::string>> next(std::string* language = nullptr);
  size_t n_files() const;

 private:
  struct State;
  explicit TextFiles(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
