// Keys and values of earlier positions, per slot, layer and key/value head, in the layout that the attention
// kernel reads: keys in panels of 16 positions, values row by row. A slot has room for n_ctx positions;
// memory becomes real as positions are written.
#pragma once
#include "base/result.h"
#include "ops/native/memory.h"

namespace volant {

// A head's keys and values; layouts as in AttentionArgs.
struct KvHead {
  float* keys = nullptr;
  float* values = nullptr;
  int64_t head_dim = 0, value_stride = 0;

  // Puts one position's key and value (head_dim numbers each) in place.
  void write(int64_t pos, const float* key, const float* value) const;
};

struct KvShape {
  int64_t n_layer = 0, n_kv_head = 0, head_dim = 0;
  int64_t n_slot = 0, n_ctx = 0;
};

class KvCache {
 public:
  KvCache() = default;
  static Result<KvCache> create(const KvShape& shape);
  KvHead head(int64_t layer, int64_t slot, int64_t kv_head) const;
  const KvShape& shape() const { return shape_; }

  // Numbers that one head needs for `n_pos` positions.
  static int64_t key_floats(int64_t n_pos, int64_t head_dim);
  static int64_t value_floats(int64_t n_pos, int64_t head_dim);
  static int64_t value_stride(int64_t head_dim);

 private:
  KvShape shape_;
  Pages data_;
};

}  // namespace volant
