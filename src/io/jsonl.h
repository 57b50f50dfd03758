// JSON Lines, plain, `.gz` or `.zst` by the file's name; read a line at a time with limits, written aside
// and renamed at the end. Errors name file and line.
#pragma once
#include <memory>
#include <optional>

#include "base/json.h"
#include "io/file.h"

namespace volant {

class JsonlReader {
 public:
  static Result<JsonlReader> open(const Path& path);
  JsonlReader(JsonlReader&&) noexcept;
  JsonlReader& operator=(JsonlReader&&) noexcept;
  ~JsonlReader();
  // The next row; nothing at the end. Blank lines are passed over. A bad line is kParse "file:line: ..."; the
  // reader can go on after it.
  Result<std::optional<Json>> next();
  // Line number, from 1, of the row that next() gave last.
  uint64_t line() const;

 private:
  struct State;
  explicit JsonlReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class JsonlWriter {
 public:
  static Result<JsonlWriter> create(const Path& path);
  JsonlWriter(JsonlWriter&&) noexcept;
  JsonlWriter& operator=(JsonlWriter&&) noexcept;
  ~JsonlWriter();  // without finish(), nothing appears at `path`
  Status write(const Json& row);
  Status finish();

 private:
  struct State;
  explicit JsonlWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// All rows of a small file.
Result<std::vector<Json>> read_jsonl(const Path& path);

}  // namespace volant
