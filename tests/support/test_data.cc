#include "support/test_data.h"

#include <cstdlib>

namespace volant::testing {
std::filesystem::path source_dir() { return VOLANT_SOURCE_DIR; }

std::optional<std::filesystem::path> test_data() {
  const char* named = std::getenv("VOLANT_TEST_DATA");
  const std::filesystem::path dir = named != nullptr ? named : source_dir() / "../shared/data";
  if (!std::filesystem::is_directory(dir)) return std::nullopt;
  return std::filesystem::weakly_canonical(dir);
}
}  // namespace volant::testing
