#include "fuzz/fuzz_input.h"
#include "server/openai_request.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Json> body = parse_json(fuzz::text_of(data, size));
  if (!body) return 0;
  for (const auto& request : {parse_chat_request(*body), parse_completion_request(*body)}) {
    if (!request) continue;
    fuzz::require(request->n >= 1 && request->n <= 16, "choices are limited");
    fuzz::require(request->sampling.temperature >= 0 && request->sampling.top_p >= 0, "numbers are in range");
  }
  return 0;
}
