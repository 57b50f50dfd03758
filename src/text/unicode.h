// Unicode on UTF-8 text, by ICU.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace volant {
bool is_valid_utf8(std::string_view bytes);
// Bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character (as WHATWG and Rust do).
std::string to_valid_utf8(std::string_view bytes);
std::string normalize_nfc(std::string_view utf8);
std::string normalize_nfkc(std::string_view utf8);
std::string normalize_nfd(std::string_view utf8);
std::string normalize_nfkd(std::string_view utf8);
std::u32string to_code_points(std::string_view utf8);
std::string from_code_points(std::u32string_view code_points);
uint64_t count_code_points(std::string_view utf8);
// Words as ICU's word break finds them (Chinese by dictionary); no blanks or punctuation.
std::vector<std::string> split_words(std::string_view utf8);
// The text with one blank between neighbouring words and marks of punctuation, as ICU finds them; nothing
// else is left of its white space.
std::string separate_words(std::string_view utf8);
bool is_han(char32_t code_point);
bool is_letter(char32_t code_point);
bool is_number(char32_t code_point);           // general category N
bool is_white_space(char32_t code_point);      // property White_Space
bool is_mark(char32_t code_point);             // general category M
bool is_nonspacing_mark(char32_t code_point);  // Mn
bool is_punctuation(char32_t code_point);      // P
bool is_other(char32_t code_point);            // Cc, Cf, Co
// Letters and marks as o200k's pattern groups them: Lu Lt Lm Lo M, and Ll Lm Lo M.
bool is_upper_or_uncased(char32_t code_point);
bool is_lower_or_uncased(char32_t code_point);
std::string to_upper(std::string_view utf8);
std::string to_lower(std::string_view utf8);
// The lower case of one character by itself (one character, of U+0130 two), in UTF-8.
void append_lower(std::string& out, char32_t code_point);
// Every word begins with a capital, the rest is lower case.
std::string to_title(std::string_view utf8);

// Ends of the characters as readers see them (extended grapheme clusters), in bytes.
std::vector<size_t> grapheme_ends(std::string_view utf8);

// The character at `pos` of valid UTF-8, and `pos` moved behind it; `pos` < utf8.size().
char32_t next_code_point(std::string_view utf8, size_t& pos);
void append_utf8(std::string& out, char32_t code_point);
// Bytes at the end of `bytes` that begin a character but do not end it (0 to 3).
size_t incomplete_utf8_tail(std::string_view bytes);
}  // namespace volant
