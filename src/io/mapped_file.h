// A file mapped into memory, read only. Pages come in as they are touched.
#pragma once
#include <cstddef>
#include <span>

#include "io/file.h"

namespace volant {
class MappedFile {
 public:
  static Result<MappedFile> open(const Path& path);
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};
}  // namespace volant
