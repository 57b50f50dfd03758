#include "data/personal_data_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string>

namespace volant::personal_data {
namespace {

constexpr size_t kMaxLocal = 64;
constexpr size_t kMaxDomain = 253;

bool is_local_char(char c) {
  return is_alnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-' || c == '\'' || c == '&' ||
         c == '=' || c == '~';
}

// Where the domain that begins at `begin` ends; 0 when it is none.
size_t end_of_domain(std::string_view text, size_t begin) {
  size_t i = begin, label = begin, good_end = 0;
  while (i < text.size() && i - begin <= kMaxDomain &&
         (is_alnum(text[i]) || text[i] == '-' || text[i] == '.')) {
    if (text[i] == '.' && (i == label || text[i - 1] == '-')) break;
    if (text[i] == '-' && i == label) break;
    if (text[i] == '.') label = i + 1;
    ++i;
    // The labels up to here are a domain when there is a dot and the last one is a top level.
    if (label == begin || at(text, i) == '-' || is_alnum(at(text, i))) continue;
    const std::string_view top = text.substr(label, i - label);
    const bool letters = std::all_of(top.begin(), top.end(), is_ascii_letter);
    if ((letters && top.size() >= 2) || (top.starts_with("xn--") && top.size() > 5)) good_end = i;
  }
  return good_end;
}

// The digits of a number of at most `max` digits that is whole
// or has single `separators` inside; `end` is one past it.
std::string grouped_digits(std::string_view text, size_t begin, size_t max, std::string_view separators,
                           size_t* end) {
  std::string digits;
  size_t i = begin;
  *end = begin;
  while (i < text.size() && digits.size() <= max) {
    if (is_digit(text[i])) {
      digits.push_back(text[i]);
      *end = ++i;
    } else if (separators.find(text[i]) != std::string_view::npos && is_digit(at(text, i + 1)) &&
               is_digit(at(text, i - 1))) {
      ++i;
    } else {
      break;
    }
  }
  return digits;
}

bool passes_luhn(std::string_view digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int value = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 == 0;
}

int prefix_number(std::string_view digits, size_t n) {
  int value = 0;
  for (size_t i = 0; i < n; ++i) value = value * 10 + (digits[i] - '0');
  return value;
}

// Issuers and their lengths, as of ISO/IEC 7812 and the card schemes' public tables.
bool is_issued(std::string_view digits) {
  const size_t n = digits.size();
  const int two = prefix_number(digits, 2), four = prefix_number(digits, 4);
  if (digits[0] == '4') return n == 13 || n == 16 || n == 19;                       // Visa
  if (two >= 51 && two <= 55) return n == 16;                                       // Mastercard
  if (four >= 2221 && four <= 2720) return n == 16;                                 // Mastercard
  if (two == 34 || two == 37) return n == 15;                                       // American Express
  if (two == 30 || two == 36 || two == 38 || two == 39) return n == 14 || n == 16;  // Diners Club
  if (two == 35) return n == 16;                                                    // JCB
  if (four == 1800 || four == 2131) return n == 15;                                 // JCB
  if (two == 62) return n >= 16;                                                    // UnionPay
  if (two == 50 || (two >= 56 && two <= 58) || digits[0] == '6')
    return n >= 12;                      // Maestro, Discover, Chinese banks
  if (two == 95) return n == 19;         // Chinese banks
  if (digits[0] == '1') return n == 15;  // UATP
  return false;
}

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

bool is_date(int year, int month, int day) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1900 || year > 2099 || month < 1 || month > 12 || day < 1) return false;
  return day <= kDays[static_cast<size_t>(month - 1)] + (month == 2 && is_leap(year));
}

// Names end in letters, a number of a version stands after them: "version 1.2.3.4", "v1.2.3.4".
bool is_version(std::string_view text, size_t begin) {
  const size_t from = begin > 12 ? begin - 12 : 0;
  std::string before(text.substr(from, begin - from));
  for (char& c : before) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  while (!before.empty() && (before.back() == ' ' || before.back() == ':')) before.pop_back();
  return before.ends_with("version") || before.ends_with("ver.") || before.ends_with("release") ||
         before.ends_with("revision") || before.ends_with("版本") || before.ends_with("版");
}

size_t end_of_prefix_length(std::string_view text, size_t i, int max) {
  if (at(text, i) != '/' || !is_digit(at(text, i + 1))) return i;
  size_t end = i + 1;
  int value = 0;
  while (is_digit(at(text, end)) && end - i <= 3) value = value * 10 + (text[end++] - '0');
  return value <= max && !is_alnum(at(text, end)) ? end : i;
}

size_t match_ipv4(std::string_view text, size_t begin) {
  size_t i = begin;
  std::array<int, 4> parts{};
  for (size_t part = 0; part < 4; ++part) {
    size_t digits = 0;
    while (digits < 4 && is_digit(at(text, i))) {
      parts[part] = parts[part] * 10 + (text[i++] - '0');
      ++digits;
    }
    if (digits == 0 || digits > 3 || parts[part] > 255) return 0;
    if (part < 3 && at(text, i++) != '.') return 0;
  }
  if (is_alnum(at(text, i)) || at(text, i) == '_' || (at(text, i) == '.' && is_digit(at(text, i + 1))))
    return 0;
  const bool nobody = parts[0] == 127 || parts[0] == 0 || parts[0] == 255;
  if (nobody || is_version(text, begin)) return 0;
  return end_of_prefix_length(text, i, 32);
}

size_t match_ipv6(std::string_view text, size_t begin) {
  constexpr size_t kMaxAddress = 46;
  size_t end = begin;
  const auto in_address = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
  };
  while (end - begin < kMaxAddress && in_address(at(text, end))) ++end;
  while (end > begin && (text[end - 1] == '.' || (text[end - 1] == ':' && at(text, end - 2) != ':'))) --end;
  const std::string address(text.substr(begin, end - begin));
  if (std::count(address.begin(), address.end(), ':') < 2 || is_alnum(at(text, end)) || at(text, end) == '_')
    return 0;
  // "a::b" is a name in C++ and an address: addresses of people have digits, and more than "::1".
  if (address.size() < 6 || std::none_of(address.begin(), address.end(), is_digit)) return 0;
  in6_addr parsed{};
  if (::inet_pton(AF_INET6, address.c_str(), &parsed) != 1 || IN6_IS_ADDR_LOOPBACK(&parsed)) return 0;
  if (at(text, end) == '%' && is_alnum(at(text, end + 1))) {
    size_t zone = end + 1;
    while (zone - end < 16 && is_alnum(at(text, zone))) ++zone;
    end = zone;
  }
  return end_of_prefix_length(text, end, 128);
}

// True when the colon before `begin` ends a word ("ip:2001:db8::1"),
// not a part of an address ("db8:2001::1").
bool follows_label(std::string_view text, size_t begin) {
  size_t from = begin - 1;
  bool word = false;
  while (from > 0 && begin - from < 32 && (is_alnum(text[from - 1]) || text[from - 1] == '_')) {
    --from;
    const char c = static_cast<char>(text[from] | 0x20);
    word = word || (c >= 'g' && c <= 'z');
  }
  const bool alone = from == 0 || text[from - 1] != ':';
  return alone && (word || from == begin - 1);
}

}  // namespace

bool number_begins(std::string_view text, size_t i) {
  if (i == 0) return true;
  const char before = text[i - 1];
  if (is_alnum(before) || before == '_') return false;
  return !((before == '.' || before == ',') && i >= 2 && is_digit(text[i - 2]));
}

bool number_ends(std::string_view text, size_t i) {
  const char after = at(text, i);
  if (is_alnum(after) || after == '_') return false;
  return !((after == '.' || after == ',') && is_digit(at(text, i + 1)));
}

Match match_email(std::string_view text, size_t at_sign) {
  const size_t end = end_of_domain(text, at_sign + 1);
  if (end == 0) return {};
  size_t begin = at_sign;
  while (begin > 0 && at_sign - begin < kMaxLocal && is_local_char(text[begin - 1])) --begin;
  // What quotes, lists and marks the address is not part of it.
  while (begin < at_sign && !is_alnum(text[begin]) && text[begin] != '_') ++begin;
  if (begin == at_sign || text[at_sign - 1] == '.') return {};
  return {begin, end};
}

Match match_ip_address(std::string_view text, size_t begin) {
  const char before = begin > 0 ? text[begin - 1] : ' ';
  if (is_alnum(before) || before == '_' || before == '.') return {};
  if (before == ':' && !follows_label(text, begin)) return {};
  if (is_digit(at(text, begin))) {
    if (const size_t end = match_ipv4(text, begin)) return {begin, end};
  }
  if (const size_t end = match_ipv6(text, begin)) return {begin, end};
  return {};
}

Match match_cn_id(std::string_view text, size_t begin) {
  if (!number_begins(text, begin)) return {};
  size_t end = 0;
  std::string digits = grouped_digits(text, begin, 18, " -", &end);
  const char last = at(text, end);
  const bool letter = digits.size() == 17 && (last == 'x' || last == 'X');
  if (letter) ++end;
  if (digits.size() != (letter ? 17U : 18U) || !number_ends(text, end)) return {};
  const int region = prefix_number(digits, 2);
  if (region < 11 || region > 91) return {};
  const auto number = [&](size_t from, size_t n) {
    return prefix_number(std::string_view(digits).substr(from), n);
  };
  if (!is_date(number(6, 4), number(10, 2), number(12, 2))) return {};
  constexpr std::array<int, 17> kWeights = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  int sum = 0;
  for (size_t i = 0; i < 17; ++i) sum += kWeights[i] * (digits[i] - '0');
  const char expected = "10X98765432"[sum % 11];
  const char got = letter ? 'X' : digits[17];
  return expected == got ? Match{begin, end} : Match{};
}

Match match_bank_card(std::string_view text, size_t begin) {
  if (!number_begins(text, begin)) return {};
  // Ends of the groups of digits: another number may follow the card, so the longest card is looked for.
  std::string digits;
  Match found;
  size_t group = 0;
  for (size_t i = begin; digits.size() < 19 && is_digit(at(text, i)); ++i) {
    digits.push_back(text[i]);
    ++group;
    if (is_digit(at(text, i + 1))) continue;
    // Cards are printed in groups of four or more (the last one may be shorter):
    // a list of small numbers is no card.
    const bool known = digits.size() >= 12 && is_issued(digits) && passes_luhn(digits);
    if (known && number_ends(text, i + 1)) found = {begin, i + 1};
    const char separator = at(text, i + 1);
    if (group < 4 || (separator != ' ' && separator != '-')) break;
    group = 0;
    ++i;
  }
  return found;
}

}  // namespace volant::personal_data
