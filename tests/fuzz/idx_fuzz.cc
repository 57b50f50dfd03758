#include "fuzz/fuzz_input.h"
#include "tasks/image/idx.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<IdxArray> array = parse_idx(fuzz::text_of(data, size));
  if (!array) return 0;
  int64_t n = 1;
  for (const int64_t side : array->shape) n *= side;
  fuzz::require(n == std::ssize(array->bytes), "there are as many bytes as the sizes say");
  return 0;
}
