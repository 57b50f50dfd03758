#include "data/personal_data.h"
#include "fuzz/fuzz_input.h"
#include "text/unicode.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = to_valid_utf8(fuzz::text_of(data, size));
  size_t end = 0;
  for (const PersonalDataSpan& span : find_personal_data(text)) {
    fuzz::require(span.byte_begin >= end && span.byte_begin < span.byte_end && span.byte_end <= text.size(),
                  "spans are in order and inside");
    fuzz::require(
        is_valid_utf8(std::string_view(text).substr(span.byte_begin, span.byte_end - span.byte_begin)),
        "spans are whole characters");
    end = span.byte_end;
  }
  return 0;
}
