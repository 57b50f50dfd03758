// A conversation as prompt ids, through the model's chat template. What people write stays text:
// a message that holds "<|im_end|>" cannot end its turn or open another one.
#pragma once
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace volant {

class ChatEncoder {
 public:
  // A template that cannot be parsed is an error of encode(). `tokenizer` outlives it.
  ChatEncoder(const Tokenizer& tokenizer, const std::string& template_source);
  Result<std::vector<int32_t>> encode(const JsonArray& messages) const;

 private:
  // Breaks every special token's text in two with a mark that no text holds.
  std::string break_specials(std::string_view text) const;
  void break_specials(Json& value) const;

  const Tokenizer& tokenizer_;
  Result<ChatTemplate> template_;
  std::vector<std::string> specials_;  // longest first
};

}  // namespace volant
