// Texts changed at random for training, on their tokens: words masked, left out, swapped with their
// neighbour, or in the place of a synonym (easy data augmentation; Wei and Zou 2019). A word is a token with
// the continuations
// ("##ing") that follow it; special tokens stay.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "tasks/text/text_encoder.h"

namespace volant {

struct TextAugmentation {
  double mask = 0;      // share of tokens that become [MASK]
  double swap = 0;      // share of words that change places with the next one
  double remove = 0;    // share of words that are left out; one word stays
  double synonyms = 0;  // share of the words with a synonym that are replaced
};

class TextAugmenter : public Augmenter {
 public:
  // Dictionaries: lines of a word, a tab, and its synonyms between tabs. A word is looked up in the first,
  // then in the next ones. kInvalidArgument when there is no [MASK] to mask with.
  static Result<std::unique_ptr<TextAugmenter>> create(const TextEncoder& encoder,
                                                       const TextAugmentation& how,
                                                       const std::vector<Path>& dictionaries);
  // [train.augment]: mask, swap, delete, synonyms, dictionaries (paths). kInvalidArgument names what it does
  // not know.
  static Result<std::unique_ptr<Augmenter>> make(const Json& augment, const InputEncoder& encoder);
  EncodedInput operator()(const Json& input, const EncodedInput& encoded, Random& random) const override;

 private:
  struct Unit {  // a word, or a special token
    std::vector<int32_t> ids;
    int32_t type = 0;
    bool special = false;
  };
  TextAugmenter() = default;
  std::vector<Unit> units_of(const EncodedInput& encoded) const;
  Status read_dictionary(const Path& path, const TextEncoder& encoder);

  TextAugmentation how_;
  int32_t mask_ = -1;
  size_t max_length_ = 0;
  std::vector<bool> continues_, special_;                                        // by id
  std::unordered_map<std::string, std::vector<std::vector<int32_t>>> synonyms_;  // by the ids of the word
};

}  // namespace volant
