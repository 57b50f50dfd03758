// What a SentencePiece model does to a text before it is cut into pieces: its character map, blanks (extra
// ones removed, one put in front, "▁" for each). User-defined pieces in the text stay as they are.
#pragma once
#include "text/aligned_text.h"
#include "text/byte_trie.h"
#include "text/character_map.h"
#include "text/spm_model.h"

namespace volant {

class SpmNormalizer {
 public:
  // kParse when the model's character map is broken.
  static Result<SpmNormalizer> make(const SpmModel& model);
  // `prefix`: put the blank in front (or behind) that the model asks for. `in` is valid UTF-8 as it was
  // given.
  AlignedText apply(const AlignedText& in, bool prefix) const;
  // Bytes of the user-defined piece that `text` begins with, and its id; 0 when there is none.
  std::pair<size_t, int32_t> user_defined(std::string_view text) const;
  bool has_user_defined() const { return has_user_defined_; }

 private:
  // The replacement of what `text` begins with, and how many bytes that is.
  std::pair<std::string_view, size_t> next(std::string_view text) const;
  CharacterMap map_;
  ByteTrie user_defined_;
  bool has_user_defined_ = false;
  bool add_prefix_ = true, remove_extra_ = true, escape_ = true, as_suffix_ = false;
};

}  // namespace volant
