// Guesses the next tokens of a text from the text itself: what followed the last few tokens when they stood
// there before (prompt lookup, Saxena 2023). Good for code, quotes and lists; costs no model. How many tokens
// it guesses follows from how many of the last ones were right.
#pragma once
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace volant {

// How many tokens are guessed at once: more after right guesses, fewer or for a while none after wrong ones.
class GuessLength {
 public:
  explicit GuessLength(int64_t most) : most_(most) {}
  int64_t next() const { return pause_ > 0 ? 0 : length_; }
  void pass() { pause_ -= pause_ > 0; }  // a token was written without a guess
  // How many of the guessed ones were right.
  void learn(int64_t n_guessed, int64_t n_right);

 private:
  static constexpr int64_t kMostPauses = 64;  // tokens without a guess after repeated mistakes

  int64_t most_, length_ = 4;
  int64_t pause_ = 0, pauses_ = 0;  // tokens to wait; after the last mistake
};

class NgramDraft {
 public:
  // At most `most` ids that may follow `ids`, which is the text of the last call with more at its end.
  std::vector<int32_t> guess(std::span<const int32_t> ids, int64_t most);
  void learn(int64_t n_guessed, int64_t n_right) { length_.learn(n_guessed, n_right); }

 private:
  static constexpr int64_t kGram = 3;  // tokens that must have stood there before

  std::unordered_map<uint64_t, int64_t>
      next_;            // by the hash of kGram ids: where the last text after them begins
  int64_t n_seen_ = 0;  // ids in next_
  GuessLength length_{24};
};

}  // namespace volant
