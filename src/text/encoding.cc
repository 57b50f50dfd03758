#include "text/encoding.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace volant {
namespace {

constexpr int64_t kMaxLength = 1 << 24;
constexpr size_t kMaxWindowTokens = 1U << 26;  // in all windows of one text

Encoding part_of(const Encoding& whole, size_t begin, size_t end) {
  const auto cut = [begin, end](const auto& list) {
    using List = std::decay_t<decltype(list)>;
    return List(list.begin() + static_cast<int64_t>(begin), list.begin() + static_cast<int64_t>(end));
  };
  return {cut(whole.ids),
          cut(whole.type_ids),
          cut(whole.attention),
          cut(whole.special),
          cut(whole.text_of),
          cut(whole.offsets),
          {}};
}

// Keeps the first (or last) `length` tokens; the rest goes on in windows of that length.
void cut_to(Encoding& encoding, size_t length, size_t stride, bool left) {
  const size_t n = encoding.size();
  if (length >= n) return;
  std::vector<Encoding> windows;
  if (length == 0) {
    windows = {Encoding{}, part_of(encoding, 0, n)};
  } else {
    const size_t step = length - stride;
    for (size_t done = 0; windows.empty() || done < n;) {
      const size_t from = windows.size() * step;  // the edge that is not cut
      done = std::min(from + length, n);
      windows.push_back(left ? part_of(encoding, n - done, n - from) : part_of(encoding, from, done));
    }
  }
  encoding = std::move(windows.front());
  encoding.overflow.assign(std::make_move_iterator(windows.begin() + 1),
                           std::make_move_iterator(windows.end()));
}

// How long two texts of `a` and `b` tokens may be so that together they have at most `most`: the longer one
// is cut first, then both alike.
std::pair<size_t, size_t> longest_first(size_t a, size_t b, size_t most) {
  const bool swap = a > b;
  if (swap) std::swap(a, b);
  b = a > most ? a : std::max(a, most - a);
  if (a + b > most) {
    a = most / 2;
    b = a + most % 2;
  }
  return swap ? std::pair(b, a) : std::pair(a, b);
}

// Windows of `keep` of `n` tokens that share `stride`.
Status check_windows(size_t n, size_t keep, size_t stride) {
  if (keep >= n || keep == 0) return {};
  if (stride >= keep)
    return fail(ErrorCode::kInvalidArgument, "expected a stride below {}, the tokens that are kept, got {}",
                keep, stride);
  if (n / (keep - stride) > kMaxWindowTokens / keep)
    return fail(ErrorCode::kLimit, "windows of {} tokens with a stride of {} over {} tokens are too many",
                keep, stride, n);
  return {};
}

Result<bool> is_left(const Json& json) {
  const std::string direction = TRY(json_string_or(json, "direction", "Right"));
  if (direction != "Left" && direction != "Right")
    return fail(ErrorCode::kParse, "expected direction Left or Right, got '{}'", direction);
  return direction == "Left";
}

Result<uint32_t> length_of(const Json& json, std::string_view key, int64_t otherwise) {
  const int64_t value = TRY(json_int_or(json, key, otherwise));
  if (value < 0 || value > kMaxLength)
    return fail(ErrorCode::kParse, "expected {} from 0 to {}, got {}", key, kMaxLength, value);
  return static_cast<uint32_t>(value);
}

}  // namespace

Result<std::optional<Truncation>> parse_truncation(const Json* json) {
  if (json == nullptr || json->is_null()) return std::optional<Truncation>();
  Truncation out;
  out.max_length = TRY(length_of(*json, "max_length", 512));
  out.stride = TRY(length_of(*json, "stride", 0));
  out.left = TRY(is_left(*json));
  const std::string strategy = TRY(json_string_or(*json, "strategy", "LongestFirst"));
  if (strategy == "OnlyFirst")
    out.strategy = Truncation::Strategy::kOnlyFirst;
  else if (strategy == "OnlySecond")
    out.strategy = Truncation::Strategy::kOnlySecond;
  else if (strategy != "LongestFirst")
    return fail(ErrorCode::kUnsupported, "truncation strategy '{}'", strategy);
  return std::optional(out);
}

Result<std::optional<Padding>> parse_padding(const Json* json) {
  if (json == nullptr || json->is_null()) return std::optional<Padding>();
  Padding out;
  if (const Json* strategy = json_find(*json, "strategy"); strategy != nullptr) {
    if (strategy->is_object())
      out.length = TRY(length_of(*strategy, "Fixed", -1));
    else if (*strategy != "BatchLongest")
      return fail(ErrorCode::kParse, "expected padding strategy BatchLongest or Fixed");
  }
  out.multiple_of = TRY(length_of(*json, "pad_to_multiple_of", 0));
  out.left = TRY(is_left(*json));
  out.id = static_cast<int32_t>(TRY(length_of(*json, "pad_id", 0)));
  out.type_id = static_cast<int32_t>(TRY(length_of(*json, "pad_type_id", 0)));
  out.token = TRY(json_string_or(*json, "pad_token", "[PAD]"));
  return std::optional(out);
}

Json to_json(const std::optional<Truncation>& truncation) {
  if (!truncation) return nullptr;
  constexpr const char* kStrategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
  return JsonObject{{"direction", truncation->left ? "Left" : "Right"},
                    {"max_length", truncation->max_length},
                    {"strategy", kStrategies[static_cast<size_t>(truncation->strategy)]},
                    {"stride", truncation->stride}};
}

Json to_json(const std::optional<Padding>& padding) {
  if (!padding) return nullptr;
  const Json strategy =
      padding->length ? Json(JsonObject{{"Fixed", *padding->length}}) : Json("BatchLongest");
  return JsonObject{{"strategy", strategy},
                    {"direction", padding->left ? "Left" : "Right"},
                    {"pad_to_multiple_of", padding->multiple_of == 0 ? Json() : Json(padding->multiple_of)},
                    {"pad_id", padding->id},
                    {"pad_type_id", padding->type_id},
                    {"pad_token", padding->token}};
}

Status truncate(Encoding& first, Encoding* second, size_t n_added, const Truncation& how) {
  using Strategy = Truncation::Strategy;
  if (how.max_length < n_added)
    return fail(ErrorCode::kInvalidArgument, "cannot cut to {} tokens: {} are put around the text",
                how.max_length, n_added);
  const size_t most = how.max_length - n_added;
  const size_t n_second = second == nullptr ? 0 : second->size();
  const size_t total = first.size() + n_second;
  if (total <= most) return {};
  size_t keep_first = most, keep_second = n_second;
  if (second == nullptr && how.strategy == Strategy::kOnlySecond)
    return fail(ErrorCode::kInvalidArgument, "cannot cut the second text: there is none");
  if (how.strategy == Strategy::kLongestFirst) {
    if (second != nullptr) std::tie(keep_first, keep_second) = longest_first(first.size(), n_second, most);
  } else {
    const bool cuts_first = how.strategy == Strategy::kOnlyFirst;
    const size_t other = cuts_first ? n_second : first.size();
    if (other >= most)
      return fail(ErrorCode::kInvalidArgument, "cannot cut to {} tokens: the text that stays whole has {}",
                  how.max_length, other);
    (cuts_first ? keep_first : keep_second) = most - other;
    if (!cuts_first) keep_first = first.size();
  }
  for (const auto& [n, keep] : {std::pair(first.size(), keep_first), std::pair(n_second, keep_second)})
    if (Status status = check_windows(n, keep, how.stride); !status) return status;
  cut_to(first, keep_first, how.stride, how.left);
  if (second != nullptr) cut_to(*second, keep_second, how.stride, how.left);
  return {};
}

std::vector<uint8_t> tokens_within(const Encoding& encoding, std::span<const TextSpan> spans) {
  std::vector<uint8_t> within(encoding.size(), 0);
  size_t at = 0;
  for (size_t i = 0; i < encoding.size(); ++i) {
    const TextSpan token = encoding.offsets[i];
    if (encoding.text_of[i] != 0) continue;
    while (at < spans.size() && spans[at].end <= token.begin) ++at;
    within[i] = at < spans.size() && token.end > spans[at].begin && token.end > token.begin ? 1 : 0;
  }
  return within;
}

namespace {

void pad_one(Encoding& encoding, size_t length, const Padding& how) {
  for (Encoding& part : encoding.overflow) pad_one(part, length, how);
  if (encoding.size() >= length) return;
  const size_t n = length - encoding.size();
  const auto fill = [&](auto& list, auto value) {
    using Value = typename std::decay_t<decltype(list)>::value_type;
    list.insert(how.left ? list.begin() : list.end(), n, static_cast<Value>(value));
  };
  fill(encoding.ids, how.id);
  fill(encoding.type_ids, how.type_id);
  fill(encoding.attention, 0);
  fill(encoding.special, 1);
  fill(encoding.text_of, kOfNoText);
  encoding.offsets.insert(how.left ? encoding.offsets.begin() : encoding.offsets.end(), n, TextSpan{});
}

}  // namespace

void pad(std::span<Encoding> batch, const Padding& how) {
  size_t length = how.length.value_or(0);
  if (!how.length)
    for (const Encoding& encoding : batch) length = std::max(length, encoding.size());
  if (how.multiple_of > 0) length = (length + how.multiple_of - 1) / how.multiple_of * how.multiple_of;
  for (Encoding& encoding : batch) pad_one(encoding, length, how);
}

}  // namespace volant
