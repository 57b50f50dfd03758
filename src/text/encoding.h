// What a model is given for a text: ids with where they came from, and what is done to make them fit: cutting
// to a length and filling up to one. The rules are those of Hugging Face tokenizers.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/aligned_text.h"

namespace volant {

// Vectors side by side, one entry a token.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;   // 0: first text, 1: second, as the post-processor says
  std::vector<uint8_t> attention;  // 1, and 0 for padding
  std::vector<uint8_t> special;    // 1 for what was put around the texts, and padding
  std::vector<uint8_t> text_of;    // 0, 1: the text a token is of; 255 for what was put around
  std::vector<TextSpan> offsets;   // code points of its own text; (0, 0) for what was put around
  std::vector<Encoding> overflow;  // what truncation cut off, in windows that overlap by `stride`
  size_t size() const { return ids.size(); }
};

inline constexpr uint8_t kOfNoText = 255;

struct Truncation {
  enum class Strategy { kLongestFirst, kOnlyFirst, kOnlySecond };
  uint32_t max_length = 512;  // tokens, with those put around
  Strategy strategy = Strategy::kLongestFirst;
  uint32_t stride = 0;  // tokens that windows of the overflow share
  bool left = false;    // cut off at the beginning
};

struct Padding {
  std::optional<uint32_t> length;  // absent: the longest of a batch
  uint32_t multiple_of = 0;        // 0: any length
  bool left = false;
  int32_t id = 0, type_id = 0;
  std::string token = "[PAD]";
};

// `truncation` and `padding` of a tokenizer.json; null gives nothing. kParse, kUnsupported.
Result<std::optional<Truncation>> parse_truncation(const Json* json);
Result<std::optional<Padding>> parse_padding(const Json* json);
Json to_json(const std::optional<Truncation>& truncation);
Json to_json(const std::optional<Padding>& padding);

// Cuts `first` and `second` (null: no pair), which hold no added tokens yet, so that both and `n_added`
// tokens fit. kInvalidArgument when that cannot be, kLimit when the windows would be too many.
Status truncate(Encoding& first, Encoding* second, size_t n_added, const Truncation& how);
// 1 for every token of the first text that has a character in one of the spans (code points, in order).
std::vector<uint8_t> tokens_within(const Encoding& encoding, std::span<const TextSpan> spans);
// Fills all of them, and their overflow, up to one length.
void pad(std::span<Encoding> batch, const Padding& how);

}  // namespace volant
