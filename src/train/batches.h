// Batches: examples packed into flat batches, in an order that seed and epoch
// fix. Positions start anew in each piece. Documents are cut so that every batch
// is full to the last row; conversations stay whole and the rest is padded.
#pragma once
#include <span>
#include <vector>

#include "ops/batch.h"
#include "train/examples.h"

namespace volant {

struct TrainBatch {
  std::vector<int32_t> tokens, pos, seq_begin{0}, out_rows;
  std::vector<int32_t> targets;  // of out_rows
  std::vector<float> weights;    // of out_rows
  int64_t n_real = 0;            // rows that are no padding

  Batch view() const {
    return {.tokens = tokens, .pos = pos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = out_rows};
  }
  double weight() const;
  // Adds a sequence of two ids or more; predicted are ids[first_target] and those after it, with weight 1.
  void add(std::span<const int32_t> ids, size_t first_target);
  // The same of a piece of an example: predicted is what has a weight. offset + take < its ids.
  void add(const Example& example, int64_t offset, int64_t take);
  // Fills up to a size that products are planned for once; what is added is a sequence that nothing reads.
  // Once, last.
  void pad();
};

// The part of a step's batches that rank `rank` of `size` trains: every sequence belongs to one rank, and
// each has about as many rows. What the batches hold and where their documents are cut is the same for any
// number of ranks. Batches of which it has nothing are left out.
std::vector<TrainBatch> share_of(const std::vector<TrainBatch>& parts, int rank, int size);

// Where in the order of which epoch the next batch starts.
struct Cursor {
  uint64_t epoch = 0, index = 0, offset = 0;
  bool operator==(const Cursor&) const = default;
};

struct BatchOptions {
  int64_t max_seq_len = 256;
  int64_t tokens = 4096;  // rows of a batch, at most
  bool shuffle = true;    // false: in order, and nothing after one pass
  uint64_t seed = 1;
};

class Batches {
 public:
  Batches(const Examples& examples, const BatchOptions& options);
  // The next batch; without rows after the pass of an unshuffled set.
  // A batch of conversations ends with the epoch.
  TrainBatch next();
  const Cursor& cursor() const { return cursor_; }
  void seek(const Cursor& cursor);
  bool at_epoch_begin() const { return cursor_.index == 0 && cursor_.offset == 0; }

 private:
  void start_epoch();
  // Adds a piece of the example under the cursor; false when it does not fit.
  bool add_piece(TrainBatch& batch);

  const Examples& examples_;
  BatchOptions options_;
  Cursor cursor_;
  std::vector<uint32_t> order_;
};

}  // namespace volant
