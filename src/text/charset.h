// Any text file as UTF-8: byte order marks, UTF-8,
// UTF-16 without mark, GB18030 (and so GBK), Big5, Windows-1252.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace volant {
struct DecodedText {
  std::string text;     // valid UTF-8 without byte order mark
  std::string charset;  // "UTF-8", "UTF-16LE", "GB18030", ...
  bool lossy = false;   // some bytes became U+FFFD
};
// `charset` empty: find out. kUnsupported for an unknown charset name, kParse when the bytes are not text.
Result<DecodedText> decode_text(std::string_view bytes, std::string_view charset = {});
}  // namespace volant
