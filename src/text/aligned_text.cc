#include "text/aligned_text.h"

#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/normalizer2.h>

#include <algorithm>

#include "text/unicode.h"

namespace volant {
namespace {

const icu::Normalizer2* normalizer_of(NormalForm form) {
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const bool composes = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  UErrorCode status = U_ZERO_ERROR;
  const auto* found = icu::Normalizer2::getInstance(nullptr, compatible ? "nfkc" : "nfc",
                                                    composes ? UNORM2_COMPOSE : UNORM2_DECOMPOSE, status);
  return U_SUCCESS(status) ? found : nullptr;
}

std::string plain(std::string_view text, NormalForm form) {
  switch (form) {
    case NormalForm::kNfc:
      return normalize_nfc(text);
    case NormalForm::kNfd:
      return normalize_nfd(text);
    case NormalForm::kNfkc:
      return normalize_nfkc(text);
    case NormalForm::kNfkd:
      return normalize_nfkd(text);
  }
  return std::string(text);
}

// The new characters of one change: the k-th comes from the k-th old one, the rest from the last.
void push_change(AlignedText& out, std::string_view made, const AlignedText& old, size_t begin, size_t end) {
  for (size_t pos = 0, at = begin; pos < made.size();) {
    const size_t start = pos;
    next_code_point(made, pos);
    out.push(made.substr(start, pos - start), old.at(at));
    size_t after = at;
    next_code_point(old.text, after);
    if (after < end) at = after;
  }
}

}  // namespace

AlignedText AlignedText::like(const AlignedText& other) {
  AlignedText out{"", other.tracked, {}};
  out.text.reserve(other.text.size() + 8);
  if (other.tracked) out.from.reserve(other.text.size() + 8);
  return out;
}

AlignedText AlignedText::of(std::string_view utf8, bool tracked, uint32_t origin) {
  AlignedText out{std::string(utf8), tracked, {}};
  if (!tracked) return out;
  out.from.reserve(utf8.size());
  for (size_t pos = 0; pos < utf8.size();) {
    const size_t begin = pos;
    next_code_point(utf8, pos);
    const TextSpan span{origin + static_cast<uint32_t>(begin), origin + static_cast<uint32_t>(pos)};
    out.from.insert(out.from.end(), pos - begin, span);
  }
  return out;
}

void AlignedText::copy(const AlignedText& other, size_t begin, size_t end) {
  text.append(other.text, begin, end - begin);
  if (tracked)
    from.insert(from.end(), other.from.begin() + static_cast<int64_t>(begin),
                other.from.begin() + static_cast<int64_t>(end));
}

AlignedText normalize(AlignedText text, NormalForm form) {
  std::string made = plain(text.text, form);
  if (made == text.text) return text;
  if (!text.tracked) return {std::move(made), false, {}};
  AlignedText out = AlignedText::like(text);
  const icu::Normalizer2* by = normalizer_of(form);
  icu::Edits edits;
  icu::StringByteSink<std::string> sink(&made);
  UErrorCode status = U_ZERO_ERROR;
  made.clear();
  if (by != nullptr)
    by->normalizeUTF8(0, icu::StringPiece(text.text.data(), static_cast<int32_t>(text.text.size())), sink,
                      &edits, status);
  if (by == nullptr || U_FAILURE(status)) return text;
  for (auto change = edits.getFineIterator(); change.next(status);) {
    const auto begin = static_cast<size_t>(change.sourceIndex());
    const size_t end = begin + static_cast<size_t>(change.oldLength());
    if (change.hasChange())
      push_change(out,
                  std::string_view(made).substr(static_cast<size_t>(change.destinationIndex()),
                                                static_cast<size_t>(change.newLength())),
                  text, begin, end);
    else
      out.copy(text, begin, end);
  }
  return out;
}

}  // namespace volant
