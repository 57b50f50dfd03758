// Unicode on UTF-8 text, by ICU.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace volant {
bool is_valid_utf8(std::string_view bytes);
// Bytes that are not UTF-8 become U+FFFD.
std::string to_valid_utf8(std::string_view bytes);
std::string normalize_nfc(std::string_view utf8);
std::string normalize_nfkc(std::string_view utf8);
std::u32string to_code_points(std::string_view utf8);
std::string from_code_points(std::u32string_view code_points);
uint64_t count_code_points(std::string_view utf8);
// Words as ICU's word break finds them (Chinese by dictionary); no blanks or punctuation.
std::vector<std::string> split_words(std::string_view utf8);
bool is_han(char32_t code_point);
bool is_letter(char32_t code_point);
}  // namespace volant
