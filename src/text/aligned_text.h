// A text on its way through normalisers and pre-tokenisers, which knows for every byte what part of the text
// it was given it came from. Positions are bytes of that text. Without tracking it is a plain string.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace volant {

// [begin, end) of a text; bytes or code points, as the owner says.
struct TextSpan {
  uint32_t begin = 0, end = 0;
  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

struct AlignedText {
  std::string text;
  bool tracked = false;
  std::vector<TextSpan> from;  // by byte of `text`; empty unless tracked

  // An empty text that goes the way of another.
  static AlignedText like(const AlignedText& other);
  // Valid UTF-8 as it is: every byte comes from its own character. `origin` is added to the positions.
  static AlignedText of(std::string_view utf8, bool tracked, uint32_t origin = 0);
  // Appends characters that all come from `source`.
  void push(std::string_view utf8, TextSpan source) {
    text += utf8;
    if (tracked) from.insert(from.end(), utf8.size(), source);
  }
  // Appends bytes [begin, end) of another, with where they came from.
  void copy(const AlignedText& other, size_t begin, size_t end);
  // Where the byte at `pos` came from; (0, 0) when that is not known.
  TextSpan at(size_t pos) const { return pos < from.size() ? from[pos] : TextSpan{}; }
};

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// A character that comes from several comes from the first of them, as Hugging Face tokenizers count it.
AlignedText normalize(AlignedText text, NormalForm form);

}  // namespace volant
