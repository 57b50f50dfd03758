// What every tokenizer must bear, whatever vocabulary it was made from.
#pragma once
#include "fuzz/fuzz_input.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace volant::fuzz {
inline void exercise(const Tokenizer& tokenizer) {
  for (const char* text :
       {"Once upon a time, 3 cats.", "你好，世界 🎉", "<s></s><|im_end|>", " \n\t", "\xFF\xFE", ""}) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    for (const int32_t id : ids) require(id >= 0 && id < tokenizer.n_vocab(), "ids are of the vocabulary");
    (void)tokenizer.decode(ids);
    (void)tokenizer.encode(text, {.add_special = false, .parse_special = false});
    const auto located = tokenizer.encode_with_offsets({text, {}});
    require(located && located->ids == ids, "ids with offsets are those without");
    for (const TextSpan& span : located->offsets)
      require(span.begin <= span.end && span.end <= count_code_points(to_valid_utf8(text)),
              "offsets are of the text");
    Truncation truncation;
    truncation.max_length = 5;
    truncation.stride = 1;
    (void)tokenizer.encode_with_offsets({text, "你好 and more"},
                                        {.truncation = truncation, .padding = Padding{.length = 9}});
  }
  const std::vector<int32_t> odd{-1, 0, 1, tokenizer.n_vocab() - 1, tokenizer.n_vocab(), INT32_MAX};
  (void)tokenizer.decode(odd, false);
  for (const int32_t id : odd) {
    (void)tokenizer.token_bytes(id);
    (void)tokenizer.token_text(id);
    (void)tokenizer.is_special(id);
  }
  StreamDecoder stream(tokenizer);
  for (const int32_t id : odd) (void)stream.push(id);
  (void)stream.finish();
}
}  // namespace volant::fuzz
