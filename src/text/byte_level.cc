#include "text/byte_level.h"

#include <array>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr char32_t kFirstExtra = 0x100;
constexpr int kNotInAlphabet = -1;

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int, 512> bytes{};  // by code point
  Alphabet() {
    bytes.fill(kNotInAlphabet);
    char32_t extra = kFirstExtra;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char32_t c = printable ? static_cast<char32_t>(byte) : extra++;
      append_utf8(characters[static_cast<size_t>(byte)], c);
      bytes[c] = byte;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

const std::string& byte_character(unsigned char byte) { return alphabet().characters[byte]; }

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += byte_character(static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> alphabet_to_bytes(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (c >= alphabet().bytes.size() || alphabet().bytes[c] == kNotInAlphabet) return std::nullopt;
    out.push_back(static_cast<char>(alphabet().bytes[c]));
  }
  return out;
}

}  // namespace volant
