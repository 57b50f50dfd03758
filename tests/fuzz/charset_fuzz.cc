// The first byte chooses the charset.
#include "fuzz/fuzz_input.h"
#include "text/charset.h"
#include "text/language.h"
#include "text/unicode.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr const char* kCharsets[] = {"",        "UTF-8", "UTF-16LE",     "UTF-16BE",
                                       "GB18030", "Big5",  "windows-1252", "Shift_JIS"};
  const Result<DecodedText> decoded = decode_text(fuzz::text_of(data + 1, size - 1), kCharsets[data[0] % 8]);
  if (!decoded) return 0;
  fuzz::require(is_valid_utf8(decoded->text), "decoded text is UTF-8");
  fuzz::require(is_valid_utf8(normalize_nfc(decoded->text)), "normalised text is UTF-8");
  fuzz::require(from_code_points(to_code_points(decoded->text)) == decoded->text,
                "code points hold the text");
  (void)identify_language(decoded->text);
  (void)split_words(decoded->text);
  return 0;
}
