// Which characters BERT's tokenizer drops, cuts at and sets apart, as Hugging Face tokenizers has them.
#pragma once

namespace volant {
bool is_bert_control(char32_t c);      // dropped: NUL, U+FFFD, control and format characters
bool is_bert_han(char32_t c);          // a word of its own
bool is_bert_punctuation(char32_t c);  // a word of its own: general category P and ASCII's symbols
}  // namespace volant
