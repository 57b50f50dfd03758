// The version of Volant, as `volant version` prints it.
#pragma once
#include <string>
namespace volant {
std::string version();
}  // namespace volant
