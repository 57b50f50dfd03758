#include "fuzz/fuzz_input.h"
#include "io/safetensors.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<SafetensorsFile> file =
      SafetensorsFile::open(fuzz::folder().put("x.safetensors", fuzz::text_of(data, size)));
  if (!file) return 0;
  uint64_t total = 0;
  for (const auto& [name, entry] : file->tensors()) {
    total += entry.bytes.size();
    if (!entry.bytes.empty())
      total += static_cast<uint64_t>(entry.bytes.back()) & 0;  // touches the last byte
  }
  fuzz::require(total <= size, "tensors lie inside the file");
  return 0;
}
