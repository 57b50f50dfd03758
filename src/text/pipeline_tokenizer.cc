#include "text/pipeline_tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr int32_t kMaxVocab = 4'000'000;

}  // namespace

Result<std::unique_ptr<PipelineTokenizer>> PipelineTokenizer::build(Parts parts) {
  std::unique_ptr<PipelineTokenizer> made(new PipelineTokenizer(std::move(parts)));
  Parts& p = made->parts_;
  made->tokens_ = TRY(StringTable::make(p.tokens));
  std::vector<std::string> texts = std::exchange(p.tokens, {});
  for (const AddedToken& token : p.added) {
    if (token.id < 0 || token.id >= kMaxVocab)
      return fail(ErrorCode::kLimit, "added token '{}' has id {}, expected less than {}", token.content,
                  token.id, kMaxVocab);
    const auto id = static_cast<size_t>(token.id);
    if (id >= texts.size()) texts.resize(id + 1);
    texts[id] = token.content;
  }
  made->texts_ = TRY(StringTable::make(texts));
  for (const auto& list : {p.post_processor.prefix(), p.post_processor.suffix()})
    for (const int32_t id : list)
      if (id >= made->n_vocab())
        return fail(ErrorCode::kParse, "the post-processor adds id {}, the vocabulary has {}", id,
                    made->n_vocab());
  made->special_.resize(texts.size());
  made->ids_ = StringIndex(texts.size());
  for (size_t id = 0; id < texts.size(); ++id)
    if (!texts[id].empty()) made->ids_.add(made->texts_, static_cast<int32_t>(id));
  for (const AddedToken& token : p.added) {
    if (token.special) made->special_[static_cast<size_t>(token.id)] = true;
    made->ids_.replace(made->texts_, token.id);
  }
  for (std::string& text : texts)
    if (!text.empty()) text = p.decoder.middle(text);
  made->bytes_ = TRY(StringTable::make(texts));
  made->added_ = AddedTokens(p.added, [&p](std::string_view text) { return p.normalizer.apply(text); });
  return made;
}

const WordModel& PipelineTokenizer::model() const {
  if (parts_.bpe) return *parts_.bpe;
  if (parts_.wordpiece) return *parts_.wordpiece;
  return *parts_.unigram;
}

std::string PipelineTokenizer::algorithm() const {
  if (parts_.bpe) return parts_.byte_level ? "byte-level bpe" : "bpe";
  return parts_.wordpiece ? "wordpiece" : "unigram";
}

void PipelineTokenizer::encode_normalized(std::string_view text, bool at_start,
                                          std::vector<int32_t>& ids) const {
  const WordModel& model = this->model();
  if (const WordPattern scanner = parts_.pre_tokenizer.only_scanner(); scanner != WordPattern::kNone) {
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = scan_word(scanner, text, pos);
      model.encode(text.substr(pos, end - pos), ids);
      pos = end;
    }
    return;
  }
  std::vector<Word> words;
  std::deque<AlignedText> storage;
  const AlignedText whole{std::string(text), false, {}};
  parts_.pre_tokenizer.split(whole, at_start, words, storage);
  for (const Word& word : words) model.encode(word.text, ids);
}

void PipelineTokenizer::encode_plain(std::string_view text, bool parse_special, bool at_start,
                                     std::vector<int32_t>& ids) const {
  std::string normalized;
  if (!parts_.normalizer.is_identity()) {
    normalized = parts_.normalizer.apply(text);
    text = normalized;
  }
  if (!parse_special || !added_.has(AddedTokens::Pass::kNormalized))
    return encode_normalized(text, at_start, ids);
  for (const auto& segment : added_.split(text, AddedTokens::Pass::kNormalized)) {
    if (segment.id >= 0)
      ids.push_back(segment.id);
    else
      encode_normalized(segment.text, at_start && segment.text.data() == text.data(), ids);
  }
}

std::vector<int32_t> PipelineTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 4);
  if (options.add_special) ids = parts_.post_processor.prefix();
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = to_valid_utf8(text);
    text = repaired;
  }
  if (!options.parse_special) {
    encode_plain(text, false, true, ids);
  } else {
    for (const auto& segment : added_.split(text, AddedTokens::Pass::kRaw)) {
      if (segment.id >= 0)
        ids.push_back(segment.id);
      else
        encode_plain(segment.text, true, segment.text.data() == text.data(), ids);
    }
  }
  if (options.add_special) {
    const std::vector<int32_t> suffix = parts_.post_processor.suffix();
    ids.insert(ids.end(), suffix.begin(), suffix.end());
  }
  return ids;
}

void PipelineTokenizer::locate_plain(std::string_view text, uint32_t origin, bool parse_special,
                                     std::vector<WordToken>& tokens) const {
  const AlignedText normalized = parts_.normalizer.apply(AlignedText::of(text, true, origin));
  std::vector<Word> words;
  std::deque<AlignedText> storage;
  std::vector<WordToken> pieces;
  const auto span_of = [](const TextSpan* from, size_t begin, size_t end) {
    return end > begin ? std::pair<size_t, size_t>(from[begin].begin, from[end - 1].end)
                       : std::pair<size_t, size_t>(0, 0);
  };
  const auto locate_part = [&](size_t begin, size_t end) {
    AlignedText part = AlignedText::like(normalized);
    part.copy(normalized, begin, end);
    parts_.pre_tokenizer.split(part, !part.from.empty() && part.from[0].begin == 0, words, storage);
    for (const Word& word : words) {
      pieces.clear();
      model().locate(word.text, pieces);
      for (const WordToken& piece : pieces) {
        const auto [from, to] = span_of(word.from, piece.begin, piece.end);
        tokens.push_back({piece.id, from, to});
      }
    }
    storage.clear();
  };
  if (!parse_special || !added_.has(AddedTokens::Pass::kNormalized))
    return locate_part(0, normalized.text.size());
  for (const auto& segment : added_.split(normalized.text, AddedTokens::Pass::kNormalized)) {
    const auto begin = static_cast<size_t>(segment.text.data() - normalized.text.data());
    const size_t end = begin + segment.text.size();
    if (segment.id < 0) {
      locate_part(begin, end);
      continue;
    }
    const auto [from, to] = span_of(normalized.from.data(), begin, end);
    tokens.push_back({segment.id, from, to, true});
  }
}

void PipelineTokenizer::locate(std::string_view text, bool parse_special,
                               std::vector<WordToken>& tokens) const {
  if (!parse_special) return locate_plain(text, 0, false, tokens);
  for (const auto& segment : added_.split(text, AddedTokens::Pass::kRaw)) {
    const auto begin = static_cast<size_t>(segment.text.data() - text.data());
    if (segment.id >= 0)
      tokens.push_back({segment.id, begin, begin + segment.text.size(), true});
    else
      locate_plain(segment.text, static_cast<uint32_t>(begin), true, tokens);
  }
}

std::string PipelineTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  const bool bytes_only = parts_.decoder.is_byte_level();
  std::string bytes;
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    if (id < 0 || id >= n_vocab() || (skip_special && is_special(id))) continue;
    const auto at = static_cast<size_t>(id);
    if (bytes_only)
      bytes += bytes_[at];
    else if (!texts_[at].empty())
      tokens.emplace_back(texts_[at]);
  }
  return to_valid_utf8(bytes_only ? bytes : parts_.decoder.decode(std::move(tokens)));
}

std::string PipelineTokenizer::token_bytes(int32_t id) const {
  return std::string(id < 0 || id >= n_vocab() || is_special(id) ? "" : bytes_[static_cast<size_t>(id)]);
}

std::string PipelineTokenizer::token_text(int32_t id) const {
  return std::string(id < 0 || id >= n_vocab() ? "" : texts_[static_cast<size_t>(id)]);
}

std::optional<int32_t> PipelineTokenizer::token_id(std::string_view token_text) const {
  return ids_.find(texts_, token_text);
}

bool PipelineTokenizer::is_special(int32_t id) const {
  return id >= 0 && id < n_vocab() && special_[static_cast<size_t>(id)];
}

}  // namespace volant
