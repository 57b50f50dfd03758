#include "fuzz/fuzz_input.h"
#include "io/jsonl.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  JsonlReader reader = JsonlReader::open(fuzz::folder().put("x.jsonl", fuzz::text_of(data, size))).value();
  for (size_t i = 0; i <= size + 1; ++i) {
    const Result<std::optional<Json>> row = reader.next();
    if (row && !row->has_value()) return 0;
  }
  fuzz::require(false, "the reader comes to its end");
  return 0;
}
