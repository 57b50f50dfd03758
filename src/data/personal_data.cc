#include "data/personal_data.h"

#include <array>

#include "data/personal_data_rules.h"

namespace volant {
namespace {

namespace pd = personal_data;

struct KindInfo {
  const char* name;
  const char* placeholder;
};
constexpr std::array<KindInfo, 5> kKinds = {{{"email", "<EMAIL>"},
                                             {"phone", "<PHONE>"},
                                             {"ip_address", "<IP_ADDRESS>"},
                                             {"cn_id", "<ID_NUMBER>"},
                                             {"bank_card", "<BANK_CARD>"}}};

bool is_hex_letter(char c) { return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// What begins at byte `i`; addresses of mail are found at their "@" instead.
PersonalDataSpan match_at(std::string_view text, size_t i) {
  const char c = text[i];
  PersonalDataSpan span{PersonalDataKind::kPhone};
  const auto found = [&](PersonalDataKind kind, pd::Match match) {
    if (!match) return false;
    span.kind = kind;
    span.byte_begin = match.begin;
    span.byte_end = match.end;
    return true;
  };
  if (c == '@' && found(PersonalDataKind::kEmail, pd::match_email(text, i))) return span;
  if ((pd::is_digit(c) || is_hex_letter(c) || c == ':') &&
      found(PersonalDataKind::kIpAddress, pd::match_ip_address(text, i)))
    return span;
  if (pd::is_digit(c)) {
    if (found(PersonalDataKind::kCnId, pd::match_cn_id(text, i))) return span;
    if (found(PersonalDataKind::kBankCard, pd::match_bank_card(text, i))) return span;
  }
  if ((pd::is_digit(c) || c == '+' || c == '(') && found(PersonalDataKind::kPhone, pd::match_phone(text, i)))
    return span;
  return span;
}

}  // namespace

const char* personal_data_name(PersonalDataKind kind) { return kKinds[static_cast<size_t>(kind)].name; }
const char* personal_data_placeholder(PersonalDataKind kind) {
  return kKinds[static_cast<size_t>(kind)].placeholder;
}

std::vector<PersonalDataSpan> find_personal_data(std::string_view utf8) {
  std::vector<PersonalDataSpan> out;
  size_t i = 0, done = 0;
  while (i < utf8.size()) {
    const PersonalDataSpan span = match_at(utf8, i);
    if (span.byte_end == 0) {
      ++i;
      continue;
    }
    // The name in front of an "@" may have looked like a number by itself: the address takes it over.
    while (!out.empty() && out.back().byte_end > span.byte_begin) out.pop_back();
    done = out.empty() ? 0 : out.back().byte_end;
    if (span.byte_begin >= done) out.push_back(span);
    i = span.byte_end;
  }

  uint64_t chars = 0;
  size_t at = 0;
  const auto chars_to = [&](size_t byte) {
    for (; at < byte; ++at) chars += (static_cast<unsigned char>(utf8[at]) & 0xC0) != 0x80;
    return chars;
  };
  for (PersonalDataSpan& span : out) {
    span.begin = chars_to(span.byte_begin);
    span.end = chars_to(span.byte_end);
  }
  return out;
}

std::string mask_personal_data(std::string_view utf8, std::map<std::string, uint64_t>* counts) {
  // A placeholder may free what was glued to its neighbour ("a@b.cn" behind digits):
  // look again until nothing is found.
  constexpr int kMaxRounds = 8;
  std::string text(utf8);
  for (int round = 0; round < kMaxRounds; ++round) {
    const std::vector<PersonalDataSpan> spans = find_personal_data(text);
    if (spans.empty()) break;
    std::string out;
    size_t at = 0;
    for (const PersonalDataSpan& span : spans) {
      out += std::string_view(text).substr(at, span.byte_begin - at);
      out += personal_data_placeholder(span.kind);
      at = span.byte_end;
      if (counts != nullptr) ++(*counts)[personal_data_name(span.kind)];
    }
    out += std::string_view(text).substr(at);
    text = std::move(out);
  }
  return text;
}

}  // namespace volant
