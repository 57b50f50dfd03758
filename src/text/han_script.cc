#include "text/han_script.h"

#include <unicode/translit.h>

#include <bitset>
#include <memory>

namespace volant {
namespace {

constexpr char32_t kFirst = 0x4E00, kLast = 0x9FFF;

// The characters that ICU's conversion `id` changes.
struct Changed {
  explicit Changed(const char* id) {
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    const std::unique_ptr<icu::Transliterator> convert(
        icu::Transliterator::createInstance(id, UTRANS_FORWARD, where, status));
    if (U_FAILURE(status) || convert == nullptr) return;
    for (char32_t c = kFirst; c <= kLast; ++c) {
      icu::UnicodeString text(static_cast<UChar32>(c));
      convert->transliterate(text);
      bits[c - kFirst] = text.char32At(0) != static_cast<UChar32>(c);
    }
  }
  bool has(char32_t c) const { return c >= kFirst && c <= kLast && bits[c - kFirst]; }
  std::bitset<kLast - kFirst + 1> bits;
};

}  // namespace

bool is_simplified_only(char32_t code_point) {
  static const Changed changed("Simplified-Traditional");
  return changed.has(code_point);
}

bool is_traditional_only(char32_t code_point) {
  static const Changed changed("Traditional-Simplified");
  return changed.has(code_point);
}

}  // namespace volant
