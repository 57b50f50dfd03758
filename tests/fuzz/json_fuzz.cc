#include "base/json.h"
#include "fuzz/fuzz_input.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Json> json = parse_json(fuzz::text_of(data, size));
  if (!json) return 0;
  const std::string text = dump_json(*json);
  const Result<Json> again = parse_json(text);
  fuzz::require(again.has_value(), "what is written can be read");
  fuzz::require(dump_json(*again) == text, "writing is stable");
  (void)dump_json_pretty(*json);
  return 0;
}
