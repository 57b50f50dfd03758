// The alphabet of byte-level vocabularies (GPT-2): every byte is one printable character, so that a token is
// readable text ("Ġthe" is " the").
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace volant {
// The character (UTF-8) that stands for a byte.
const std::string& byte_character(unsigned char byte);
// Bytes written in the alphabet.
std::string bytes_to_alphabet(std::string_view bytes);
// The bytes that `text` stands for; nothing when it holds a character outside the alphabet.
std::optional<std::string> alphabet_to_bytes(std::string_view text);
}  // namespace volant
