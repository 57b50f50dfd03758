// Telephone numbers. A number is split into its groups of digits; forms that only telephones have count
// anywhere, other groupings only after a word that announces a telephone number.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/personal_data_rules.h"

namespace volant::personal_data {
namespace {

struct Group {
  size_t begin, end;
  char before;  // what separates it from the one before: ' ', '-', '.', ')'; 0 for the first
  size_t size() const { return end - begin; }
};

struct Number {
  size_t begin = 0;
  bool plus = false, parenthesis = false;  // "+49 ...", "(030) ..."
  std::vector<Group> groups;
  size_t digits(size_t n_groups) const {
    size_t n = 0;
    for (size_t i = 0; i < n_groups; ++i) n += groups[i].size();
    return n;
  }
};

constexpr size_t kMaxDigits = 20;

// Length of what may stand between two groups at `i`: a blank, "-", ".", "/", ") ", " (", ")-"; 0: nothing.
size_t separator_length(std::string_view text, size_t i) {
  size_t n = 0;
  bool parenthesis = false, mark = false;
  while (n < 3) {
    const char c = at(text, i + n);
    if (is_digit(c)) return n;
    if (c == '(' || c == ')') {
      parenthesis = true;
    } else if (c == ' ' || c == '-' || c == '.' || c == '/') {
      if (mark && !parenthesis) return 0;
      mark = true;
    } else {
      return 0;
    }
    ++n;
  }
  return is_digit(at(text, i + n)) ? n : 0;
}

Number split_number(std::string_view text, size_t begin) {
  Number number;
  number.begin = begin;
  size_t i = begin;
  if (at(text, i) == '+') number.plus = true, ++i;
  if (at(text, i) == '(') number.parenthesis = true, ++i;
  char before = 0;
  size_t n_digits = 0;
  while (is_digit(at(text, i)) && n_digits <= kMaxDigits) {
    const size_t from = i;
    while (is_digit(at(text, i))) ++i;
    number.groups.push_back({from, i, before});
    n_digits += i - from;
    const size_t gap = separator_length(text, i);
    if (gap == 0) break;
    before = text[i];
    i += gap;
  }
  return number;
}

// "x123", " ext. 123", "转123" after a number.
size_t end_of_extension(std::string_view text, size_t i) {
  for (const std::string_view mark : {"x", " x", "-x", " ext. ", " ext ", " ext.", "ext", "转", " 转"}) {
    if (!text.substr(std::min(i, text.size())).starts_with(mark)) continue;
    size_t end = i + mark.size();
    const size_t from = end;
    while (end - from < 6 && is_digit(at(text, end))) ++end;
    if (end > from && !is_alnum(at(text, end))) return end;
  }
  return i;
}

bool ends_well(std::string_view text, size_t end) {
  const char after = at(text, end);
  return (number_ends(text, end) && after != '%') || end_of_extension(text, end) > end;
}

bool in_range(char c, char low, char high) { return c >= low && c <= high; }

// 13812345678, 138 1234 5678, 138-1234-5678, also after 86.
size_t match_cn_mobile(std::string_view text, const Number& number) {
  size_t first = 0;
  if (number.groups.size() > 1 && (text.substr(number.groups[0].begin, number.groups[0].size()) == "86" ||
                                   text.substr(number.groups[0].begin, number.groups[0].size()) == "0086")) {
    first = 1;
  }
  std::string digits;
  for (size_t i = first; i < number.groups.size() && i < first + 3; ++i) {
    const Group& group = number.groups[i];
    const size_t n = group.size();
    const size_t place = i - first;
    if (place > 0 && n != 4) break;
    digits += text.substr(group.begin, n);
    if (digits.size() == 13 && digits.starts_with("86") && place == 0) digits.erase(0, 2);
    if (digits.size() > 11) return 0;
    if (digits.size() == 11) {
      const bool mobile = digits[0] == '1' && in_range(digits[1], '3', '9');
      return mobile && ends_well(text, group.end) ? group.end : 0;
    }
    if (place == 0 && n != 3) return 0;
  }
  return 0;
}

// 010-12345678, (0755) 1234567, 400-123-4567, 400-1234-567.
size_t match_cn_landline(std::string_view text, const Number& number) {
  const std::vector<Group>& g = number.groups;
  if (g.size() < 2) return 0;
  const std::string_view area = text.substr(g[0].begin, g[0].size());
  const bool dashed = g[1].before == '-' || g[1].before == ')';
  if (area[0] == '0' && (area.size() == 3 || area.size() == 4) && dashed &&
      (g[1].size() == 7 || g[1].size() == 8)) {
    return ends_well(text, g[1].end) ? g[1].end : 0;
  }
  if ((area == "400" || area == "800") && g.size() >= 3 && dashed && g[1].size() + g[2].size() == 7 &&
      g[1].size() >= 3 && g[2].size() >= 3) {
    return ends_well(text, g[2].end) ? g[2].end : 0;
  }
  return 0;
}

// North America: 415-555-0132, (415) 555-0132, 1-415-555-0132, 001-415-555-0132, 415.555.0132.
size_t match_nanp(std::string_view text, const Number& number) {
  const std::vector<Group>& g = number.groups;
  size_t first = 0;
  if (g.size() >= 4) {
    const std::string_view country = text.substr(g[0].begin, g[0].size());
    if (country == "1" || country == "001") first = 1;
  }
  if (g.size() < first + 3) return 0;
  const Group &area = g[first], &exchange = g[first + 1], &line = g[first + 2];
  if (area.size() != 3 || exchange.size() != 3 || line.size() != 4) return 0;
  if (!in_range(text[area.begin], '2', '9') || !in_range(text[exchange.begin], '1', '9')) return 0;
  // Blanks alone also separate the numbers of a table.
  if (exchange.before == ' ' && line.before == ' ' && !number.parenthesis) return 0;
  return ends_well(text, line.end) ? line.end : 0;
}

// 0490 75 40 81, 03.93.92.16.85, (08) 8747 6301, 07700 900 123: a leading zero, groups, 9 to 11 digits.
size_t match_trunk(std::string_view text, const Number& number) {
  const std::vector<Group>& g = number.groups;
  if (g.size() < 2 || text[g[0].begin] != '0' || g[0].size() < 2 || g[0].size() > 5) return 0;
  for (size_t n = g.size(); n >= 2; --n) {
    const size_t digits = number.digits(n);
    // Two groups and a blank may be a house number and a post code; 3-2-4 is a social security number.
    if (digits < (n == 2 && g[1].before == ' ' ? 10 : 9) || digits > 11) continue;
    if (n == 3 && g[0].size() == 3 && g[1].size() == 2 && g[2].size() == 4) continue;
    const bool even =
        std::all_of(g.begin() + 1, g.begin() + static_cast<std::ptrdiff_t>(n),
                    [](const Group& group) { return group.size() >= 2 && group.before != '/'; });
    if (even && ends_well(text, g[n - 1].end)) return g[n - 1].end;
  }
  return 0;
}

// "+" and 8 to 15 digits (E.164), however they are grouped; "+41 (0)71 526 99 04".
size_t match_international(std::string_view text, const Number& number) {
  if (!number.plus || number.groups.empty() || text[number.groups[0].begin] == '0') return 0;
  for (size_t n = number.groups.size(); n >= 1; --n) {
    const size_t digits = number.digits(n);
    if (digits >= 8 && digits <= 15 && ends_well(text, number.groups[n - 1].end))
      return number.groups[n - 1].end;
  }
  return 0;
}

// Words in front of a number by their first byte: they announce a telephone number, or some other number.
struct Announcements {
  struct Word {
    std::string_view text;
    bool phone;
  };
  std::array<std::vector<Word>, 256> by_first;

  Announcements() {
    for (const std::string_view word :
         {"phone", "tel",     "mobil", "cell",    "call", "fax",      "contact",   "whatsapp",
          "dial",  "hotline", "ring",  "text me", "sms",  "reach me", "answering", "电话",
          "電話",  "手机",    "手機",  "致电",    "致電", "联系",     "聯絡",      "热线",
          "熱線",  "传真",    "傳真",  "拨打",    "座机", "短信"}) {
      by_first[static_cast<unsigned char>(word[0])].push_back({word, true});
    }
    for (const std::string_view word :
         {"card",   "account", "order", "isbn", "routing", "ssn",  "passport", "licen",     "invoice",
          "serial", "zip",     "price", "year", "http",    "iban", "tracking", "post code", "date",
          "卡号",   "账号",    "帐号",  "订单", "编号",    "邮编", "社保"}) {
      by_first[static_cast<unsigned char>(word[0])].push_back({word, false});
    }
  }
};

// The last such word in the bytes before `begin` decides.
bool is_announced(std::string_view text, size_t begin) {
  constexpr size_t kReach = 48;
  static const Announcements announcements;
  const size_t from = begin > kReach ? begin - kReach : 0;
  std::array<char, kReach> lower{};
  for (size_t i = from; i < begin; ++i)
    lower[i - from] = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
  const std::string_view before(lower.data(), begin - from);
  for (size_t i = before.size(); i-- > 0;) {
    for (const Announcements::Word& word : announcements.by_first[static_cast<unsigned char>(before[i])]) {
      if (!before.substr(i).starts_with(word.text)) continue;
      if (!word.phone) return false;
      // "telephone" announces one, "recall" does not.
      if (i == 0 || !is_ascii_letter(before[i - 1]) || word.text == "phone") return true;
    }
  }
  return false;
}

bool looks_like_date(std::string_view text, const Number& number, size_t n) {
  if (n != 3) return false;
  const std::vector<Group>& g = number.groups;
  const auto year = [&](const Group& group) {
    return group.size() == 4 && (text.substr(group.begin, 2) == "19" || text.substr(group.begin, 2) == "20");
  };
  return (year(g[0]) && g[1].size() <= 2 && g[2].size() <= 2) ||
         (year(g[2]) && g[0].size() <= 2 && g[1].size() <= 2);
}

// "781 1704 office", "(37) 788-063-Fax": the word stands behind.
bool is_labelled(std::string_view text, size_t end) {
  if (at(text, end) != ' ' && at(text, end) != '-') return false;
  std::string after(text.substr(end + 1, 6));
  for (char& c : after) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  for (const std::string_view word : {"office", "fax", "mobile", "cell", "home", "phone"}) {
    if (after.starts_with(word)) return true;
  }
  return false;
}

// Anything plausible, 7 to 13 digits, with a word for telephone.
size_t match_announced(std::string_view text, const Number& number) {
  if (number.digits(number.groups.size()) < 7) return 0;
  if (!is_announced(text, number.begin) && !is_labelled(text, number.groups.back().end)) return 0;
  for (size_t n = number.groups.size(); n >= 1; --n) {
    const size_t digits = number.digits(n);
    if (digits < 7 || digits > 13 || looks_like_date(text, number, n)) continue;
    const bool groups_ok = n == 1 || number.groups[n - 1].size() >= 2;
    if (groups_ok && ends_well(text, number.groups[n - 1].end)) return number.groups[n - 1].end;
  }
  return 0;
}

}  // namespace

Match match_phone(std::string_view text, size_t begin) {
  if (!number_begins(text, begin)) return {};
  const char before = begin > 0 ? text[begin - 1] : ' ';
  if (before == '/' || before == '$' || before == '=' || before == '+' || before == '#') return {};
  if ((before == '-' || before == '(') && begin >= 2 && is_alnum(text[begin - 2])) return {};
  const Number number = split_number(text, begin);
  if (number.groups.empty()) return {};
  if (number.parenthesis && number.groups.size() < 2) return {};
  size_t end = match_international(text, number);
  if (end == 0) end = match_cn_mobile(text, number);
  if (end == 0) end = match_cn_landline(text, number);
  if (end == 0) end = match_nanp(text, number);
  if (end == 0) end = match_trunk(text, number);
  if (end == 0) end = match_announced(text, number);
  if (end == 0) return {};
  return {begin, end_of_extension(text, end)};
}

}  // namespace volant::personal_data
