#include "fuzz/fuzz_input.h"
#include "io/gguf.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<GgufFile> file = GgufFile::open(fuzz::folder().put("x.gguf", fuzz::text_of(data, size)));
  if (!file) return 0;
  uint64_t total = 0;
  for (const auto& [name, tensor] : file->tensors()) {
    total += tensor.bytes.size();
    if (!tensor.bytes.empty())
      total += static_cast<uint64_t>(tensor.bytes.back()) & 0;  // touches the last byte
  }
  fuzz::require(total <= size, "tensors lie inside the file");
  for (const auto& [key, value] : file->metadata()) {
    (void)file->get_int(key);
    (void)file->get_number(key);
    (void)file->get_string(key);
  }
  return 0;
}
