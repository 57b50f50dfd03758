// RowReader: the rows of a file in any layout that row_layout.h knows, one canonical row at a time. JSON
// Lines or one JSON array, plain, `.gz` or `.zst`; of an array each element is parsed by itself. Errors name
// file, line and field.
#pragma once
#include <memory>
#include <optional>

#include "data/row_layout.h"
#include "io/file.h"

namespace volant {

class RowReader {
 public:
  // `.jsonl` is read line by line; any other file that begins with "[" is an array and is read whole.
  static Result<RowReader> open(const Path& path, const RowLayout& layout = {});
  RowReader(RowReader&&) noexcept;
  RowReader& operator=(RowReader&&) noexcept;
  ~RowReader();
  // The next row; nothing at the end.
  Result<std::optional<JsonObject>> next();
  // "file:line" where the row that next() gave last begins.
  std::string place() const;

 private:
  struct State;
  explicit RowReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
