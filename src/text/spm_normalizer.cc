#include "text/spm_normalizer.h"

#include <algorithm>

namespace volant {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581

size_t character_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  return std::min<size_t>(lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4, text.size());
}

}  // namespace

Result<SpmNormalizer> SpmNormalizer::make(const SpmModel& model) {
  SpmNormalizer made;
  made.map_ = TRY(CharacterMap::parse(model.precompiled_charsmap));
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (size_t id = 0; id < model.pieces.size(); ++id)
    if (model.pieces[id].type == PieceType::kUserDefined)
      keys.emplace_back(model.pieces[id].text, static_cast<int32_t>(id));
  made.has_user_defined_ = !keys.empty();
  made.user_defined_ = ByteTrie(std::move(keys));
  made.add_prefix_ = model.add_dummy_prefix;
  made.remove_extra_ = model.remove_extra_whitespaces;
  made.escape_ = model.escape_whitespaces;
  made.as_suffix_ = model.treat_whitespace_as_suffix;
  return made;
}

std::pair<size_t, int32_t> SpmNormalizer::user_defined(std::string_view text) const {
  if (!has_user_defined_) return {0, 0};
  const auto found = user_defined_.longest(text);
  return found ? std::pair(found->n_bytes, found->value) : std::pair<size_t, int32_t>(0, 0);
}

std::pair<std::string_view, size_t> SpmNormalizer::next(std::string_view text) const {
  if (const size_t n = user_defined(text).first; n > 0) return {text.substr(0, n), n};
  if (const auto mapped = map_.longest(text)) return {mapped->replacement, mapped->n_bytes};
  const size_t n = character_bytes(text);
  return {text.substr(0, n), n};
}

AlignedText SpmNormalizer::apply(const AlignedText& in, bool prefix) const {
  AlignedText out = AlignedText::like(in);
  const std::string_view text = in.text;
  const std::string_view blank = escape_ ? kBlankMark : " ";
  size_t pos = 0;
  while (remove_extra_ && pos < text.size()) {
    const auto [replacement, n] = next(text.substr(pos));
    if (replacement != " ") break;
    pos += n;
  }
  if (pos >= text.size()) return out;
  const bool adds = prefix && add_prefix_;
  if (adds && !as_suffix_) out.push(blank, in.at(pos));
  bool after_blank = remove_extra_;
  while (pos < text.size()) {
    auto [replacement, n] = next(text.substr(pos));
    const TextSpan from = in.tracked ? TextSpan{in.at(pos).begin, in.at(pos + n - 1).end} : TextSpan{};
    while (after_blank && replacement.starts_with(' ')) replacement.remove_prefix(1);
    if (!replacement.empty()) {
      for (size_t i = 0; i < replacement.size(); ++i)
        out.push(replacement[i] == ' ' ? blank : replacement.substr(i, 1), from);
      after_blank = remove_extra_ && replacement.ends_with(' ');
    }
    pos += n;
  }
  if (remove_extra_)
    while (out.text.ends_with(blank)) {
      out.text.resize(out.text.size() - blank.size());
      if (out.tracked) out.from.resize(out.text.size());
    }
  if (adds && as_suffix_) out.push(blank, out.at(out.text.size() - 1));
  return out;
}

}  // namespace volant
