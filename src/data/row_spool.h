// Row spool: rows that wait in a temporary file between two passes,
// addressed by number. Removed with the object.
#pragma once
#include <vector>

#include "data/row.h"
#include "io/file.h"

namespace volant {

class RowSpool {
 public:
  // A file of this name must not exist; its folder must.
  static Result<RowSpool> create(const Path& path);
  RowSpool(RowSpool&& other) noexcept;
  RowSpool& operator=(RowSpool&&) = delete;
  ~RowSpool();
  Status add(const Row& row);
  uint64_t size() const { return offsets_.size() - 1; }
  // Row `n`, as it was added.
  Result<Row> row(uint64_t n) const;

 private:
  RowSpool() = default;
  Status flush();
  Path path_;
  int file_ = -1;
  std::string buffer_;                // not yet in the file
  std::vector<uint64_t> offsets_{0};  // in bytes, one more than rows
};

}  // namespace volant
