#include "text/fertility.h"

#include "text/language.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr double kMinShare = 0.01;

double ratio(uint64_t a, uint64_t b) { return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b); }

JsonObject figures(const FertilityCounts& counts) {
  return {{"tokens_per_char", ratio(counts.tokens, counts.characters)},
          {"tokens_per_word", ratio(counts.tokens, counts.words)},
          {"bytes_per_token", ratio(counts.bytes, counts.tokens)},
          {"byte_level_tokens_per_char", ratio(counts.bytes, counts.characters)},
          {"byte_level_tokens_per_word", ratio(counts.bytes, counts.words)},
          {"texts", counts.texts},
          {"chars", counts.characters}};
}

}  // namespace

void Fertility::add(std::string_view text, std::string_view language) {
  if (text.empty()) return;
  const std::string code = language.empty() ? identify_language(text).code : std::string(language);
  FertilityCounts& counts = by_language_[code];
  ++counts.texts;
  counts.tokens += tokenizer_.encode(text, {.add_special = false, .parse_special = false}).size();
  counts.characters += count_code_points(text);
  counts.words += split_words(text).size();
  counts.bytes += text.size();
}

Json Fertility::to_json() const {
  FertilityCounts all;
  for (const auto& [code, counts] : by_language_) {
    all.texts += counts.texts;
    all.tokens += counts.tokens;
    all.characters += counts.characters;
    all.words += counts.words;
    all.bytes += counts.bytes;
  }
  JsonObject languages;
  for (const auto& [code, counts] : by_language_)
    if (ratio(counts.characters, all.characters) >= kMinShare) languages[code] = figures(counts);
  return JsonObject{{"languages", languages}, {"all", figures(all)}};
}

Json tokenizer_report(std::string_view algorithm, const Fertility& fertility, int32_t n_vocab) {
  Json figures_json = fertility.to_json();
  JsonObject report{{"algorithm", algorithm}, {"vocab_size", n_vocab}};
  for (const auto& [key, value] : figures_json.get_object()) report[key] = value;
  return report;
}

}  // namespace volant
