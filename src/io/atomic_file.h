// A file that grows aside and appears at its name only when it is complete:
// bytes go to a partial file beside it, commit() syncs and renames. Without
// commit() nothing is left behind (after a kill, only the partial file).
#pragma once
#include "io/file.h"

namespace volant {
class AtomicFile {
 public:
  // Creates the parent folder and the partial file.
  static Result<AtomicFile> create(const Path& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();
  Status write(std::string_view bytes);
  // Syncs, renames over `path`, syncs the parent folder. Nothing may be written after it.
  Status commit();
  uint64_t size() const { return size_; }

 private:
  AtomicFile() = default;
  Status flush();
  void discard();

  Path path_, partial_;
  std::string buffer_;
  uint64_t size_ = 0;
  int fd_ = -1;
};
}  // namespace volant
