// The rules of personal_data.h: each looks at one place of a text and says where what begins there ends, or
// 0. All bounded: no rule looks further than a few hundred bytes.
#pragma once
#include <cstddef>
#include <string_view>

namespace volant::personal_data {

struct Match {
  size_t begin = 0, end = 0;  // bytes, half open; end 0: nothing
  explicit operator bool() const { return end > 0; }
};

// An address around the "@" at `at` (RFC 5321, unquoted local part, a domain with a top level of letters).
Match match_email(std::string_view text, size_t at);
// IPv4 or IPv6, with /prefix or %zone; not loopback, unspecified and broadcast addresses, not
// "version 1.2.3.4".
Match match_ip_address(std::string_view text, size_t begin);
// GB 11643: region, date of birth, sequence, check digit.
Match match_cn_id(std::string_view text, size_t begin);
// 12 to 19 digits, whole or in groups, a known issuer's prefix, Luhn.
Match match_bank_card(std::string_view text, size_t begin);
// Numbers in forms that only telephones have, and any plausible number after a word such as "call" or "电话".
Match match_phone(std::string_view text, size_t begin);

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool is_alnum(char c) { return is_digit(c) || is_ascii_letter(c); }
// The byte at `i`, or a line end outside the text.
inline char at(std::string_view text, size_t i) { return i < text.size() ? text[i] : '\n'; }
// True when a number may begin at `i` or end before it: no letter, digit or decimal point runs on.
bool number_begins(std::string_view text, size_t i);
bool number_ends(std::string_view text, size_t i);

}  // namespace volant::personal_data
