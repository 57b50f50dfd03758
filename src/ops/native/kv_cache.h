// Keys and values of earlier positions in pages of 64: a page holds a block (kernels/kv_block.h) for each
// layer and key/value head. Which sequence holds which pages is said by the batch; for callers without a page
// table of their own, slots with room for n_ctx positions stand one after the other. Memory becomes real as
// positions are written. Counts no users: see runtime/page_pool.h.
#pragma once
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/kv_block.h"
#include "ops/batch.h"
#include "ops/native/memory.h"

namespace volant {

// One head's keys and values of one sequence.
struct KvHead {
  KvLayout layout;
  std::byte* blocks = nullptr;     // of page 0
  int64_t block_stride = 0;        // bytes between the blocks of two pages
  const int32_t* pages = nullptr;  // of the sequence; null: 0, 1, 2, ...

  // The block of the positions 64 i to 64 i + 63.
  std::byte* block(int64_t i) const { return blocks + (pages == nullptr ? i : pages[i]) * block_stride; }
  // Puts one position's key and value (head_dim numbers each) in place.
  void write(int64_t pos, const float* key, const float* value) const {
    layout.write(block(pos / kKvBlock), pos % kKvBlock, key, value);
  }
};

struct KvShape {
  int64_t n_layer = 0, n_kv_head = 0, head_dim = 0;
  int64_t n_slot = 0, n_ctx = 0;  // slots that hold pages of their own
  int64_t n_page = 0;             // pages; 0: as many as the slots need
  DType type = DType::kF32;       // of the numbers: kF32, kF16 or kQ8_0

  int64_t pages_of_slot() const { return pages_for(n_ctx); }
  int64_t page_bytes() const { return n_layer * n_kv_head * KvLayout::of(type, head_dim).bytes; }
  static int64_t pages_for(int64_t n_pos) { return (n_pos + kKvBlock - 1) / kKvBlock; }
};

class KvCache {
 public:
  KvCache() = default;
  // kLimit when there is no memory for it.
  static Result<KvCache> create(const KvShape& shape);
  // The pages of sequence `s` of a batch that names pages or slots.
  std::span<const int32_t> pages_of(const Batch& batch, int64_t s) const;
  KvHead head(int64_t layer, int64_t kv_head, std::span<const int32_t> pages) const;
  // All that stands in one page, over what stands in the other.
  void copy_page(int32_t from, int32_t to) const;
  const KvShape& shape() const { return shape_; }

 private:
  KvShape shape_;
  KvLayout layout_;
  std::vector<int32_t> slot_pages_;  // of slot 0, then of slot 1, ...
  Pages data_;
};

}  // namespace volant
