// Does a given answer say what a reference answer says: exact match and token F1 as SQuAD 1.1 defines them
// (Rajpurkar et al. 2016) and as CMRC 2018 does (Cui et al. 2019). Of several references the best counts.
// Scores are 0 to 1; without a reference they are 0.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace volant {

// SQuAD: lower case, without ASCII punctuation and the articles a, an, the; single blanks between words.
std::string normalize_answer(std::string_view utf8);

struct AnswerScore {
  double exact_match = 0, f1 = 0;
};

// F1 of the bags of words that normalize_answer() leaves. Chinese characters count as words of their own;
// other text scores exactly as in SQuAD.
AnswerScore squad_score(std::string_view answer, std::span<const std::string> references);

// CMRC 2018: punctuation of its list is left out; F1 of the longest common run (not bag) of segments, where a
// Chinese character is a segment and other text is cut into words and punctuation marks. The original cuts
// other text with NLTK's English tokenizer: contractions ("don't") differ here.
AnswerScore cmrc_score(std::string_view answer, std::span<const std::string> references);

}  // namespace volant
