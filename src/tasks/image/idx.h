// IDX, the format of MNIST: two zero bytes, the type, the number of dimensions, each size as a big-endian
// u32, then the numbers. Unsigned bytes alone; plain or `.gz`.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"

namespace volant {

struct IdxArray {
  std::vector<int64_t> shape = {};  // 1 to 4 sizes
  std::string bytes = {};           // as many as the sizes say
};

// kParse when the header and the length do not agree, kUnsupported for another type than unsigned bytes.
Result<IdxArray> parse_idx(std::string_view content);
Result<IdxArray> read_idx(const Path& path);

}  // namespace volant
