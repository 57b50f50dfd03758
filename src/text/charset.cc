#include "text/charset.h"

#include <unicode/ucnv.h>
#include <unicode/unistr.h>

#include <array>
#include <bitset>
#include <memory>
#include <optional>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr size_t kMaxBytes = 256U << 20;
constexpr size_t kProbeBytes = 64U << 10;  // how much of a text is looked at to find its charset

struct ConverterCloser {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, ConverterCloser>;

Converter open_converter(const std::string& name) {
  UErrorCode status = U_ZERO_ERROR;
  Converter converter(ucnv_open(name.c_str(), &status));
  return U_SUCCESS(status) ? std::move(converter) : nullptr;
}

// The bytes as UTF-8; what is no character of the charset becomes U+FFFD.
// Nothing when there is no such charset.
std::optional<std::string> convert(std::string_view bytes, const std::string& charset) {
  const Converter converter = open_converter(charset);
  if (converter == nullptr) return std::nullopt;
  UErrorCode status = U_ZERO_ERROR;
  const auto size = static_cast<int32_t>(bytes.size());
  const icu::UnicodeString text(bytes.data(), size, converter.get(), status);
  if (U_FAILURE(status)) return std::nullopt;
  std::string out;
  text.toUTF8String(out);
  return out;
}

bool has_replacement(std::string_view text) { return text.find(kReplacement) != std::string_view::npos; }

// The characters that most Chinese text is written with: level 1 of GB 2312 and of Big5.
const std::bitset<0x10000>& common_han() {
  static const auto made = [] {
    std::bitset<0x10000> bits;
    const auto add = [&bits](const char* charset, int first, int last, int low, int high) {
      for (int lead = first; lead <= last; ++lead)
        for (int trail = low; trail <= high; ++trail) {
          const std::array<char, 2> pair{static_cast<char>(lead), static_cast<char>(trail)};
          const auto text = convert({pair.data(), 2}, charset);
          if (!text || has_replacement(*text)) continue;
          size_t pos = 0;
          const char32_t c = next_code_point(*text, pos);
          if (pos == text->size() && c < bits.size()) bits.set(c);
        }
    };
    add("GBK", 0xB0, 0xD7, 0xA1, 0xFE);
    add("Big5", 0xA4, 0xC6, 0x40, 0xFE);
    return bits;
  }();
  return made;
}

// How much a decoded text looks like something people write:
// the mean over its characters of a number from -2 to 1.
double plausibility(std::string_view utf8) {
  double sum = 0;
  size_t n = 0;
  bool latin_before = false;
  for (size_t pos = 0; pos < utf8.size(); ++n) {
    const char32_t c = next_code_point(utf8, pos);
    const bool ascii_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    double score = 0;
    if (c == 0xFFFD || (c >= 0xE000 && c <= 0xF8FF)) {  // broken, or of private use
      score = -2;
    } else if (c < 0x80) {
      score = c >= 0x20 || c == '\n' || c == '\r' || c == '\t' ? 0.9 : -2;
    } else if (c < 0xA0) {
      score = -1.5;
    } else if (c < 0x250) {
      // An accented letter stands among letters; a row of them is some other charset misread.
      score = is_letter(c) ? (latin_before ? 0.6 : 0.1) : 0.0;
    } else if (is_han(c)) {
      score = c < 0x10000 && common_han()[c] ? 1.0 : -0.3;
    } else if ((c >= 0x3000 && c <= 0x30FF) || (c >= 0xFF00 && c <= 0xFF65) || (c >= 0x2010 && c <= 0x2030)) {
      score = 0.9;  // East Asian punctuation, kana, full-width forms, quotation marks
    } else {
      score = is_letter(c) ? 0.0 : -0.2;
    }
    latin_before = ascii_letter;
    sum += score;
  }
  return n == 0 ? 0 : sum / static_cast<double>(n);
}

struct Mark {
  std::string_view bytes;
  const char* charset;
};
// UTF-32LE before UTF-16LE: its mark begins with the other's.
constexpr std::array<Mark, 5> kMarks = {{{std::string_view("\xFF\xFE\0\0", 4), "UTF-32LE"},
                                         {std::string_view("\0\0\xFE\xFF", 4), "UTF-32BE"},
                                         {"\xEF\xBB\xBF", "UTF-8"},
                                         {"\xFF\xFE", "UTF-16LE"},
                                         {"\xFE\xFF", "UTF-16BE"}}};

bool is_plain_text(std::string_view utf8) {
  size_t controls = 0;
  for (const char c : utf8.substr(0, kProbeBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return false;
    controls +=
        byte < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\b' && c != 0x1B ? 1U : 0U;
  }
  return controls * 50 <= utf8.size();
}

// The likeliest charset of bytes that carry no mark and are not UTF-8; empty when none makes text of them.
std::string guess(std::string_view bytes) {
  std::string_view probe = bytes.substr(0, kProbeBytes & ~size_t{3});
  struct Candidate {
    const char* charset;
    double handicap;  // a charset in which nearly all bytes mean something needs more to be believed
  };
  constexpr std::array<Candidate, 5> kCandidates = {
      {{"UTF-16LE", 0.05}, {"UTF-16BE", 0.05}, {"GB18030", 0}, {"Big5", 0.02}, {"windows-1252", 0}}};
  std::string best;
  double best_score = 0.2;
  for (const auto& [charset, handicap] : kCandidates) {
    const bool utf16 = std::string_view(charset).starts_with("UTF-16");
    if (utf16 && bytes.size() % 2 != 0) continue;
    auto text = convert(probe, charset);
    if (!text) continue;
    // The probe may end inside a character.
    if (probe.size() < bytes.size() && text->ends_with(kReplacement))
      text->resize(text->size() - kReplacement.size());
    if (!is_plain_text(*text)) continue;
    const double score = plausibility(*text) - handicap;
    if (score > best_score) {
      best_score = score;
      best = charset;
    }
  }
  return best;
}

DecodedText decoded(std::string text, std::string charset) {
  const bool lossy = has_replacement(text);
  return {std::move(text), std::move(charset), lossy};
}

Result<DecodedText> decode_as(std::string_view bytes, std::string_view charset) {
  const std::string name(charset);
  std::string upper = to_upper(name);
  for (const Mark& mark : kMarks) {
    const bool family = std::string_view(mark.charset).starts_with(upper);  // "UTF-16" is either order
    if (!bytes.starts_with(mark.bytes) || !family) continue;
    bytes.remove_prefix(mark.bytes.size());
    upper = mark.charset;
    break;
  }
  if (upper == "UTF-8" || upper == "UTF8") {
    std::string text = to_valid_utf8(bytes);
    return DecodedText{text, "UTF-8", text.size() != bytes.size() || text != bytes};
  }
  const Converter converter = open_converter(upper);
  if (converter == nullptr) return fail(ErrorCode::kUnsupported, "charset '{}' is not known", charset);
  UErrorCode status = U_ZERO_ERROR;
  const char* canonical = ucnv_getName(converter.get(), &status);
  std::string shown = U_SUCCESS(status) ? canonical : upper;
  if (shown == "gb18030") shown = "GB18030";
  auto text = convert(bytes, upper);
  if (!text) return fail(ErrorCode::kParse, "the bytes cannot be read as {}", charset);
  return decoded(std::move(*text), std::move(shown));
}

}  // namespace

Result<DecodedText> decode_text(std::string_view bytes, std::string_view charset) {
  if (bytes.size() > kMaxBytes)
    return fail(ErrorCode::kLimit, "expected a text of at most {} bytes, got {}", kMaxBytes, bytes.size());
  if (!charset.empty()) return decode_as(bytes, charset);
  for (const Mark& mark : kMarks) {
    if (!bytes.starts_with(mark.bytes)) continue;
    const std::string_view rest = bytes.substr(mark.bytes.size());
    if (std::string_view(mark.charset) == "UTF-8") {
      std::string text = to_valid_utf8(rest);
      return DecodedText{text, "UTF-8", text != rest};
    }
    if (auto text = convert(rest, mark.charset)) return decoded(std::move(*text), mark.charset);
  }
  if (is_valid_utf8(bytes) && is_plain_text(bytes)) return DecodedText{std::string(bytes), "UTF-8", false};
  if (const std::string found = guess(bytes); !found.empty())
    if (auto text = convert(bytes, found)) return decoded(std::move(*text), found);
  // Mostly UTF-8 with a few broken bytes.
  std::string repaired = to_valid_utf8(bytes);
  if (is_plain_text(repaired) && plausibility(std::string_view(repaired).substr(0, kProbeBytes)) > 0.5)
    return DecodedText{std::move(repaired), "UTF-8", true};
  return fail(ErrorCode::kParse, "expected text, got bytes that are text in no known charset");
}

}  // namespace volant
