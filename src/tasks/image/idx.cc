#include "tasks/image/idx.h"

#include "io/line_reader.h"

namespace volant {
namespace {
constexpr uint64_t kMaxIdxBytes = 2ULL << 30;
constexpr unsigned char kUnsignedByte = 0x08;
constexpr size_t kMaxDimensions = 4;
}  // namespace

Result<IdxArray> parse_idx(std::string_view content) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(content[at]); };
  if (content.size() < 4 || byte(0) != 0 || byte(1) != 0)
    return fail(ErrorCode::kParse, "expected an IDX file, which begins with two zero bytes");
  if (byte(2) != kUnsignedByte)
    return fail(ErrorCode::kUnsupported, "IDX numbers of type 0x{:02x}; expected unsigned bytes, 0x08",
                byte(2));
  const size_t n = byte(3);
  if (n < 1 || n > kMaxDimensions)
    return fail(ErrorCode::kParse, "expected an IDX file of 1 to {} dimensions, got {}", kMaxDimensions, n);
  const size_t header = 4 + 4 * n;
  if (content.size() < header) return fail(ErrorCode::kParse, "the IDX header ends too early");
  IdxArray out;
  uint64_t wanted = 1;
  for (size_t i = 0; i < n; ++i) {
    uint64_t size = 0;
    for (size_t k = 0; k < 4; ++k) size = size << 8 | byte(4 + 4 * i + k);
    out.shape.push_back(static_cast<int64_t>(size));
    if (size == 0 || wanted > kMaxIdxBytes / size)
      return fail(ErrorCode::kParse,
                  "expected IDX sizes of 1 or more and {} bytes at most, dimension {} is {}", kMaxIdxBytes, i,
                  size);
    wanted *= size;
  }
  if (content.size() - header != wanted)
    return fail(ErrorCode::kParse, "the IDX header says {} bytes, the file holds {}", wanted,
                content.size() - header);
  out.bytes = content.substr(header);
  return out;
}

Result<IdxArray> read_idx(const Path& path) {
  const std::string content = TRY(read_content(path, kMaxIdxBytes));
  Result<IdxArray> array = parse_idx(content);
  if (!array) return std::move(array).error().at(path.string());
  return array;
}

}  // namespace volant
