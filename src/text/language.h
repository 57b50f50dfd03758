// Which language a text is in (CLD2, with script counts deciding for short Chinese).
#pragma once
#include <string>
#include <string_view>

namespace volant {
struct Language {
  std::string code;       // ISO 639-1: "en", "zh" (script in `script`), "und" when unknown
  std::string script;     // "Latn", "Hans", "Hant", ...; empty when it does not matter
  double confidence = 0;  // 0 to 1
};
Language identify_language(std::string_view utf8);
}  // namespace volant
