// Personal data in text: e-mail addresses, telephone numbers (international, North
// American, Chinese mobile and landline), IPv4 and IPv6 addresses, Chinese citizen
// ID numbers (GB 11643, check digit), bank cards (ISO/IEC 7812, Luhn). Found by
// rules and check digits, in linear time. Names and street addresses are not found.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace volant {

enum class PersonalDataKind { kEmail, kPhone, kIpAddress, kCnId, kBankCard };

// "email", "phone", "ip_address", "cn_id", "bank_card".
const char* personal_data_name(PersonalDataKind kind);
// "<EMAIL>", "<PHONE>", "<IP_ADDRESS>", "<ID_NUMBER>", "<BANK_CARD>".
const char* personal_data_placeholder(PersonalDataKind kind);

struct PersonalDataSpan {
  PersonalDataKind kind;
  uint64_t begin = 0, end = 0;            // code points, half open
  uint64_t byte_begin = 0, byte_end = 0;  // the same in bytes of UTF-8
};

// Spans in order, none overlapping. `utf8` must be valid UTF-8.
std::vector<PersonalDataSpan> find_personal_data(std::string_view utf8);

// The text with each span replaced by its placeholder; counts are added to `counts` by kind name when given.
std::string mask_personal_data(std::string_view utf8, std::map<std::string, uint64_t>* counts = nullptr);

}  // namespace volant
