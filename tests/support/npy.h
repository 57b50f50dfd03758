// Reads the .npy files of the data folder: version 1.0, float32, C order.
#pragma once
#include <cstring>
#include <vector>

#include "io/file.h"

namespace volant::testing {

inline std::vector<float> read_npy(const Path& path) {
  const std::string bytes = read_file(path).value();
  const size_t header =
      10 + static_cast<uint8_t>(bytes[8]) + 256 * static_cast<size_t>(static_cast<uint8_t>(bytes[9]));
  std::vector<float> numbers((bytes.size() - header) / 4);
  std::memcpy(numbers.data(), bytes.data() + header, numbers.size() * 4);
  return numbers;
}

}  // namespace volant::testing
