#include "runtime/ngram_draft.h"

#include <algorithm>

namespace volant {
namespace {

uint64_t hash_of(std::span<const int32_t> ids) {
  uint64_t hash = 0;
  for (const int32_t id : ids) hash = (hash ^ static_cast<uint32_t>(id)) * 0x9E3779B97F4A7C15ULL;
  return hash;
}

}  // namespace

void GuessLength::learn(int64_t n_guessed, int64_t n_right) {
  if (n_guessed == 0) return;
  if (n_right == 0) {
    length_ = std::max<int64_t>(1, length_ / 2);
    pauses_ = std::clamp<int64_t>(2 * pauses_, 1, kMostPauses);
    pause_ = pauses_;
    return;
  }
  pauses_ = 0;
  length_ = n_right == n_guessed ? std::min(2 * length_, most_) : n_right + 1;
}

std::vector<int32_t> NgramDraft::guess(std::span<const int32_t> ids, int64_t most) {
  const int64_t n = std::ssize(ids);
  const auto gram_before = [&](int64_t end) {
    return ids.subspan(static_cast<size_t>(end - kGram), static_cast<size_t>(kGram));
  };
  for (int64_t i = std::max(n_seen_, kGram); i < n; ++i) next_[hash_of(gram_before(i))] = i;
  n_seen_ = std::max(n_seen_, n);
  const int64_t length = std::min(most, length_.next());
  length_.pass();
  if (n < kGram) return {};
  const auto found = next_.find(hash_of(gram_before(n)));
  if (found == next_.end() || !std::ranges::equal(gram_before(found->second), gram_before(n))) return {};
  std::vector<int32_t> guess;
  // Beyond the end of the text its own guess goes on: a text that repeats itself.
  for (int64_t i = 0, from = found->second; i < length; ++i, ++from)
    guess.push_back(from < n ? ids[static_cast<size_t>(from)] : guess[static_cast<size_t>(from - n)]);
  return guess;
}

}  // namespace volant
