// A smaller model that guesses the next tokens of texts, for speculative decoding (Leviathan et al. 2023;
// Chen et al. 2023): always its most likely ones. Has a cache of its own with one slot for each text that is
// written at once. Decides nothing: what it guessed wrong is not taken.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "models/checkpoint.h"
#include "models/instances/native.h"

namespace volant {

class DraftModel {
 public:
  // For texts of at most n_ctx tokens of the model whose tokenizer and number of ids are given.
  // kInvalidArgument when its vocabulary is another one.
  static Result<std::unique_ptr<DraftModel>> open(const Path& path, const Tokenizer& tokenizer,
                                                  int64_t n_vocab, int n_threads, int n_slots, int64_t n_ctx);

  struct Text {
    int slot = 0;
    std::span<const int32_t> ids;  // what is written so far
    int64_t most = 0;              // tokens to guess, at least 1
    std::vector<int32_t> guess;    // the answer; empty as long as a long text is not read yet
  };
  void guess(std::span<Text> texts);

 private:
  // Of one pass: the ids of each text from where its slot's cache ends.
  struct Rows {
    std::vector<int32_t> tokens, pos, seq_begin{0}, slots, out_rows;
    void add(int slot, std::span<const int32_t> ids, int64_t first_pos);
  };
  DraftModel(std::unique_ptr<NativeModel> model, int64_t n_vocab, int n_slots, int64_t n_ctx)
      : model_(std::move(model)), n_vocab_(n_vocab), n_ctx_(n_ctx), cached_(static_cast<size_t>(n_slots)) {}
  // The most likely token after the last row of each text.
  std::vector<int32_t> best_of(const Rows& rows);

  std::unique_ptr<NativeModel> model_;
  int64_t n_vocab_;  // ids that both models know
  int64_t n_ctx_;
  std::vector<std::vector<int32_t>> cached_;  // by slot: ids whose keys and values it holds
};

}  // namespace volant
