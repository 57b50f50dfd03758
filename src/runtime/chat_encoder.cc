#include "runtime/chat_encoder.h"

#include <algorithm>

namespace volant {
namespace {

constexpr std::string_view kMark = "\xEF\xB7\x90";  // U+FDD0, which is never a character

void remove_marks(std::string& text) {
  for (size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at))
    text.erase(at, kMark.size());
}

}  // namespace

ChatEncoder::ChatEncoder(const Tokenizer& tokenizer, const std::string& template_source)
    : tokenizer_(tokenizer), template_(ChatTemplate::parse(template_source)) {
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    if (!tokenizer.is_special(id)) continue;
    std::string text = tokenizer.token_text(id);
    if (text.size() >= 2) specials_.push_back(std::move(text));
  }
  std::ranges::sort(specials_, {}, [](const std::string& s) { return -static_cast<int64_t>(s.size()); });
}

std::string ChatEncoder::break_specials(std::string_view text) const {
  std::string whole(text);
  remove_marks(whole);
  std::string broken;
  for (size_t i = 0; i < whole.size();) {
    const std::string_view rest = std::string_view(whole).substr(i);
    const auto special =
        std::ranges::find_if(specials_, [&](const std::string& s) { return rest.starts_with(s); });
    if (special == specials_.end()) {
      broken += whole[i++];
      continue;
    }
    // The mark stands after the first character; all specials in use begin with an ASCII one.
    broken += whole[i++];
    broken += kMark;
  }
  return broken;
}

void ChatEncoder::break_specials(Json& value) const {
  if (value.is_string()) {
    value = break_specials(std::string_view(value.as_string()));
  } else if (value.is_array()) {
    for (Json& each : value.as_array()) break_specials(each);
  } else if (value.is_object()) {
    for (auto& [key, each] : value.as_object()) break_specials(each);
  }
}

Result<std::vector<int32_t>> ChatEncoder::encode(const JsonArray& messages) const {
  if (!template_) return template_.error();
  Json plain(messages);
  break_specials(plain);
  const auto text_of = [&](std::optional<int32_t> id) {
    return id ? tokenizer_.token_text(*id) : std::string();
  };
  const std::string text = TRY(template_->render(
      plain.as_array(), true,
      {{"bos_token", text_of(tokenizer_.bos_id())}, {"eos_token", text_of(tokenizer_.eos_id())}}));
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t mark = std::min(text.find(kMark, begin), text.size());
    const auto piece = tokenizer_.encode(std::string_view(text).substr(begin, mark - begin),
                                         {.add_special = false, .parse_special = true});
    ids.insert(ids.end(), piece.begin(), piece.end());
    begin = mark + kMark.size();
  }
  return ids;
}

}  // namespace volant
