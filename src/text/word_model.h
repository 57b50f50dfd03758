// What turns one word into tokens: the `model` of a tokenizer.json. Immutable; safe to use from several
// threads.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace volant {

// A token, and the bytes [begin, end) of the word that it stands for.
struct WordToken {
  int32_t id = 0;
  size_t begin = 0, end = 0;
  bool added = false;  // found in the text before the model saw it
};

class WordModel {
 public:
  virtual ~WordModel() = default;
  // Appends the ids of a word (valid UTF-8).
  virtual void encode(std::string_view word, std::vector<int32_t>& ids) const = 0;
  // The same, with where each token stands.
  virtual void locate(std::string_view word, std::vector<WordToken>& tokens) const = 0;
};

}  // namespace volant
