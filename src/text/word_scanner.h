// The patterns that most byte-level vocabularies split text with, as scanners: the same pieces as the
// regular expression gives, several times faster.
#pragma once
#include <cstddef>
#include <string_view>

namespace volant {

enum class WordPattern { kNone, kGpt2, kQwen2, kLlama3, kO200k };

// The regular expression that `pattern` stands for.
std::string_view word_regex(WordPattern pattern);
// The scanner for a regular expression; kNone when there is none.
WordPattern find_word_pattern(std::string_view regex);
// End of the piece that begins at `pos` < utf8.size() of valid UTF-8. The pieces cover the text.
size_t scan_word(WordPattern pattern, std::string_view utf8, size_t pos);

}  // namespace volant
