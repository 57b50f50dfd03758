// The first byte chooses the format.
#include "fuzz/fuzz_input.h"
#include "io/line_reader.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const char* name = data[0] % 2 == 0 ? "x.gz" : "x.zst";
  const std::filesystem::path path = fuzz::folder().put(name, fuzz::text_of(data + 1, size - 1));
  const Result<std::string> content = read_content(path, 1 << 20);
  Result<LineReader> reader = LineReader::open(path, {.max_line_bytes = 1 << 16, .max_total_bytes = 1 << 20});
  std::string joined;
  while (true) {
    const auto line = reader->next();
    if (!line && line.error().code != ErrorCode::kLimit) break;
    if (line && !line->has_value()) break;
    if (line) joined += **line;
  }
  if (content) fuzz::require(joined.size() <= content->size(), "lines are no longer than the content");
  return 0;
}
