#include "text/language.h"

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <limits>

#include "text/han_script.h"
#include "text/unicode.h"

namespace volant {
namespace {

// Letters of a text by script; digits, blanks and punctuation do not count.
struct ScriptCounts {
  uint64_t han = 0, kana = 0, hangul = 0, bopomofo = 0, latin = 0, other = 0;
  uint64_t simplified_only = 0, traditional_only = 0;
  uint64_t total() const { return han + kana + hangul + bopomofo + latin + other; }
};

constexpr uint64_t kMaxCodePointsCounted = 20000;
constexpr size_t kMaxBytesRead = 64U << 10;  // more does not make it surer

ScriptCounts count_scripts(std::string_view utf8) {
  ScriptCounts counts;
  uint64_t n = 0;
  for (size_t pos = 0; pos < utf8.size() && n < kMaxCodePointsCounted; ++n) {
    const char32_t c = next_code_point(utf8, pos);
    if (c < 0x80) {
      counts.latin += ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ? 1 : 0;
      continue;
    }
    if (!is_letter(c)) continue;
    UErrorCode status = U_ZERO_ERROR;
    switch (uscript_getScript(static_cast<UChar32>(c), &status)) {
      case USCRIPT_HAN:
        ++counts.han;
        counts.simplified_only += is_simplified_only(c) ? 1 : 0;
        counts.traditional_only += is_traditional_only(c) ? 1 : 0;
        break;
      case USCRIPT_HIRAGANA:
      case USCRIPT_KATAKANA:
        ++counts.kana;
        break;
      case USCRIPT_HANGUL:
        ++counts.hangul;
        break;
      case USCRIPT_BOPOMOFO:
        ++counts.bopomofo;
        break;
      case USCRIPT_LATIN:
        ++counts.latin;
        break;
      default:
        ++counts.other;
    }
  }
  return counts;
}

std::string han_script(const ScriptCounts& counts) {
  return counts.traditional_only > counts.simplified_only ? "Hant" : "Hans";
}

// CLD2's name as ISO 639-1 and script.
Language named(CLD2::Language language) {
  std::string code = CLD2::LanguageCode(language);
  Language out;
  if (code == "un" || code == "xxx") code = "und";
  if (code == "zh-Hant") return {"zh", "Hant", 0};
  if (code == "zh") return {"zh", "Hans", 0};
  if (code == "iw") code = "he";
  if (code == "jw") code = "jv";
  if (code == "mo") code = "ro";
  if (code == "no") code = "nb";
  if (const size_t dash = code.find('-'); dash != std::string::npos) {
    out.script = code.size() - dash == 5 ? code.substr(dash + 1) : "";
    code.resize(dash);
  }
  out.code = code;
  return out;
}

// What CLD2 reads: it stops at control characters and noncharacters, so they become blanks. U+0092 is the
// apostrophe of Windows-1252 texts that were taken for Latin-1.
std::string interchange_valid(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  for (size_t pos = 0; pos < utf8.size();) {
    const char32_t c = next_code_point(utf8, pos);
    const bool control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7F && c < 0xA0);
    const bool noncharacter = (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF);
    append_utf8(out, c == 0x92 ? U'\'' : control || noncharacter ? U' ' : c);
  }
  return out;
}

}  // namespace

Language identify_language(std::string_view utf8) {
  const ScriptCounts counts = count_scripts(utf8);
  const uint64_t letters = counts.total();
  if (letters == 0) return {"und", "", 0};
  const auto share = [&](uint64_t n) { return static_cast<double>(n) / static_cast<double>(letters); };

  // East Asian scripts say it by themselves, and short texts say it only so.
  if (counts.hangul > 0 && share(counts.hangul) >= 0.3) return {"ko", "", share(counts.hangul + counts.han)};
  const uint64_t east = counts.han + counts.kana + counts.bopomofo;
  // A Chinese letter says about as much as three Latin ones.
  if (east > 0 && 3 * east >= counts.latin + counts.other) {
    const double weight = static_cast<double>(3 * east) /
                          static_cast<double>(3 * east + counts.latin + counts.other + 3 * counts.hangul);
    if (counts.kana * 20 > east) return {"ja", "", weight};
    return {"zh", han_script(counts), weight};
  }

  const std::string valid = interchange_valid(utf8.substr(0, kMaxBytesRead));
  CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  CLD2::Language language3[3];
  int percent3[3];
  double score3[3];
  int text_bytes = 0, valid_bytes = 0;
  bool reliable = false;
  CLD2::ExtDetectLanguageSummaryCheckUTF8(valid.data(), static_cast<int>(valid.size()), true, &hints,
                                          CLD2::kCLDFlagBestEffort, language3, percent3, score3, nullptr,
                                          &text_bytes, &reliable, &valid_bytes);
  Language out = named(language3[0]);
  if (out.code == "und") return {"und", "", 0};
  out.confidence = std::clamp(percent3[0] / 100.0, 0.0, 1.0) * (reliable ? 1.0 : 0.5);
  return out;
}

}  // namespace volant
