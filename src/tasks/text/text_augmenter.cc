#include "tasks/text/text_augmenter.h"

#include <algorithm>

#include "io/line_reader.h"
#include "tasks/row_files.h"
#include "tasks/settings.h"

namespace volant {
namespace {

constexpr size_t kMaxSynonyms = 1'000'000;

// Ids as the key of a map.
std::string key_of(const std::vector<int32_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

bool happens(Random& random, double share) { return share > 0 && random.uniform() < share; }

}  // namespace

std::vector<TextAugmenter::Unit> TextAugmenter::units_of(const EncodedInput& encoded) const {
  std::vector<Unit> units;
  for (size_t i = 0; i < encoded.tokens.size(); ++i) {
    const int32_t id = encoded.tokens[i], type = encoded.types.empty() ? 0 : encoded.types[i];
    const auto at = static_cast<size_t>(id);
    const bool joins = !units.empty() && continues_[at] && !units.back().special && units.back().type == type;
    if (joins)
      units.back().ids.push_back(id);
    else
      units.push_back({.ids = {id}, .type = type, .special = special_[at]});
  }
  return units;
}

EncodedInput TextAugmenter::operator()(const Json&, const EncodedInput& encoded, Random& random) const {
  std::vector<Unit> units = units_of(encoded);
  for (size_t i = 0; i + 1 < units.size(); ++i) {
    const bool words = !units[i].special && !units[i + 1].special && units[i].type == units[i + 1].type;
    if (words && happens(random, how_.swap)) std::swap(units[i], units[i + 1]), ++i;
  }
  auto n_words = std::count_if(units.begin(), units.end(), [](const Unit& unit) { return !unit.special; });
  size_t length = encoded.tokens.size();
  EncodedInput out;
  for (Unit& unit : units) {
    if (!unit.special && n_words > 1 && happens(random, how_.remove)) {
      --n_words;
      length -= unit.ids.size();
      continue;
    }
    const auto found = synonyms_.empty() || unit.special ? synonyms_.end() : synonyms_.find(key_of(unit.ids));
    if (found != synonyms_.end() && happens(random, how_.synonyms)) {
      const std::vector<int32_t>& other = found->second[random.below(found->second.size())];
      if (length - unit.ids.size() + other.size() <= std::max(max_length_, encoded.tokens.size())) {
        length = length - unit.ids.size() + other.size();
        unit.ids = other;
      }
    }
    for (const int32_t id : unit.ids) {
      out.tokens.push_back(!unit.special && happens(random, how_.mask) ? mask_ : id);
      if (!encoded.types.empty()) out.types.push_back(unit.type);
    }
  }
  return out;
}

Status TextAugmenter::read_dictionary(const Path& path, const TextEncoder& encoder) {
  LineReader lines = TRY(LineReader::open(path));
  const auto ids_of = [&](std::string_view text) {
    return encoder.tokenizer().encode(encoder.prepared(text), {.add_special = false, .parse_special = false});
  };
  std::unordered_map<std::string, std::vector<std::vector<int32_t>>> own;
  while (const std::optional<std::string_view> line = TRY(lines.next())) {
    if (trim_blanks(*line).empty()) continue;
    std::vector<std::string_view> words;
    for (size_t begin = 0; begin <= line->size();) {
      const size_t end = std::min(line->find('\t', begin), line->size());
      words.push_back(trim_blanks(line->substr(begin, end - begin)));
      begin = end + 1;
    }
    if (words.size() < 2 || words[0].empty())
      return fail(ErrorCode::kParse, "expected a word, a tab and its synonyms").at(lines.place());
    std::vector<std::vector<int32_t>>& synonyms = own[key_of(ids_of(words[0]))];
    for (size_t i = 1; i < words.size(); ++i)
      if (std::vector<int32_t> ids = ids_of(words[i]); !ids.empty()) synonyms.push_back(std::move(ids));
    if (own.size() > kMaxSynonyms)
      return fail(ErrorCode::kLimit, "expected at most {} words", kMaxSynonyms).at(lines.place());
  }
  std::erase_if(own, [](const auto& entry) { return entry.second.empty(); });
  synonyms_.merge(own);  // words that an earlier dictionary has stay as they are
  return {};
}

Result<std::unique_ptr<TextAugmenter>> TextAugmenter::create(const TextEncoder& encoder,
                                                             const TextAugmentation& how,
                                                             const std::vector<Path>& dictionaries) {
  const Tokenizer& tokenizer = encoder.tokenizer();
  std::unique_ptr<TextAugmenter> out(new TextAugmenter);
  out->how_ = how;
  out->max_length_ = static_cast<size_t>(encoder.options().max_length);
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    const std::string text = tokenizer.token_text(id);
    out->continues_.push_back(continues_word(tokenizer, id));
    out->special_.push_back(tokenizer.is_special(id) && text != "[UNK]");
  }
  if (how.mask > 0) {
    std::optional<int32_t> mask = tokenizer.token_id("[MASK]");
    if (!mask) mask = tokenizer.token_id("<mask>");
    if (!mask)
      return fail(ErrorCode::kInvalidArgument,
                  "'mask' in [train.augment]: the vocabulary has no [MASK] or <mask>");
    out->mask_ = *mask;
  }
  if ((how.synonyms > 0) == dictionaries.empty())
    return fail(ErrorCode::kInvalidArgument,
                "'synonyms' and 'dictionaries' in [train.augment]: expected both, got one");
  for (const Path& path : dictionaries) TRY(out->read_dictionary(path, encoder));
  return out;
}

Result<std::unique_ptr<Augmenter>> TextAugmenter::make(const Json& augment, const InputEncoder& encoder) {
  const auto* text = dynamic_cast<const TextEncoder*>(&encoder);
  if (text == nullptr) return fail(ErrorCode::kInternal, "expected the encoder of texts");
  Settings settings(augment, "train.augment");
  TextAugmentation how;
  how.mask = settings.number("mask", 0, 0, 1);
  how.swap = settings.number("swap", 0, 0, 1);
  how.remove = settings.number("delete", 0, 0, 1);
  how.synonyms = settings.number("synonyms", 0, 0, 1);
  const std::vector<Path> dictionaries = settings.paths("dictionaries", "");
  TRY(settings.finish());
  return std::unique_ptr<Augmenter>(TRY(create(*text, how, dictionaries)));
}

}  // namespace volant
