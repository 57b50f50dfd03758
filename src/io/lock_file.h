// One holder at a time: an advisory lock on a file (flock), free again when the process ends however it ends.
#pragma once
#include "io/file.h"

namespace volant {
class LockFile {
 public:
  // kConflict, with the pid of the holder, when somebody else has it.
  static Result<LockFile> acquire(const Path& path);
  LockFile(LockFile&&) noexcept;
  LockFile& operator=(LockFile&&) noexcept;
  ~LockFile();

 private:
  LockFile() = default;
  int fd_ = -1;
};
}  // namespace volant
