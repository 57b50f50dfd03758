#include "base/json.h"
#include "fuzz/fuzz_input.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Json> json = parse_json(fuzz::text_of(data, size));
  if (!json) return 0;
  // Numbers of more than 15 digits may move by a last bit on the way (Boost.JSON 1.81),
  // so texts are not compared.
  const Result<Json> again = parse_json(dump_json(*json));
  fuzz::require(again.has_value(), "what is written can be read");
  (void)dump_json_pretty(*json);
  return 0;
}
