#include "base/version.h"
namespace volant {
std::string version() { return VOLANT_VERSION; }
}  // namespace volant
