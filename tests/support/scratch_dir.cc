#include "support/scratch_dir.h"

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace volant::testing {
ScratchDir::ScratchDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "volant-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed for " + pattern);
  path_ = pattern;
}
ScratchDir::~ScratchDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}
}  // namespace volant::testing
