// Attention with a learned bias by distance, and attention to a source (T5), on the native backend: keys and
// values in the layout of the cache, the softmax in two passes. For models of moderate size; the row of a
// sequence gives the same bits alone and beside others.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/native/native_ops.h"

namespace volant {
namespace {

// One query and one head over `n` positions of its keys, in f32. `bias`: of each position; null: none.
// `scores` has room for n rounded up to a panel.
void attend(const KvHead& head, const float* q, int64_t n, float scale, const float* bias, float* scores,
            float* out) {
  float largest = -std::numeric_limits<float>::infinity();
  const int64_t d = head.layout.head_dim;
  for (int64_t p = 0; p < n; p += kPanel) {
    float sums[kPanel] = {};
    const float* keys = reinterpret_cast<const float*>(head.block(p / kKvBlock)) + p % kKvBlock * d;
    for (int64_t i = 0; i < d; ++i)
      for (int64_t lane = 0; lane < kPanel; ++lane) sums[lane] += q[i] * keys[i * kPanel + lane];
    for (int64_t lane = 0; lane < std::min(kPanel, n - p); ++lane) {
      scores[p + lane] = sums[lane] * scale + (bias == nullptr ? 0.0F : bias[p + lane]);
      largest = std::max(largest, scores[p + lane]);
    }
  }
  float total = 0;
  std::fill(out, out + d, 0.0F);
  for (int64_t p = 0; p < n; ++p) {
    const float weight = std::exp(scores[p] - largest);
    total += weight;
    const std::byte* values = head.block(p / kKvBlock) + head.layout.values_at;
    const float* value = reinterpret_cast<const float*>(values) + p % kKvBlock * head.layout.value_stride;
    for (int64_t i = 0; i < d; ++i) out[i] += weight * value[i];
  }
  for (int64_t i = 0; i < d; ++i) out[i] /= total;
}

}  // namespace

void NativeOps::attend_rows(const Act& q, const AttentionSpec& spec, const float* bias, int64_t bias_stride,
                            Act& out) {
  threads_.parallel_for(static_cast<int64_t>(tasks_.size()), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scores;
    for (int64_t t = begin; t < end; ++t) {
      const AttentionTask& task = tasks_[static_cast<size_t>(t)];
      CHECK(task.head.layout.type == DType::kF32);
      scores.resize(static_cast<size_t>(task.n_pos + kPanel));
      for (int64_t r = 0; r < task.n_rows; ++r) {
        const int64_t pos = task.first_pos + r, column = task.kv_head * spec.head_dim;
        // `bias` points at distance 0 of the first head; position p is p - pos away.
        const float* own = bias == nullptr ? nullptr : bias + task.kv_head * bias_stride - pos;
        attend(task.head, q.row(task.row + r) + column, spec.causal ? pos + 1 : task.n_pos, spec.scale, own,
               scores.data(), out.row(task.row + r) + column);
      }
    }
  });
}

NativeOps::Act NativeOps::relative_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                             const AttentionSpec& spec,
                                             const RelativeBias<Weight>& relative) {
  CHECK(spec.n_head == spec.n_kv_head && spec.window == 0 && spec.softcap == 0);
  Act out = make(q.rows(), q.columns());
  const BufferPool::Buffer own = plan_attention(k, v, batch, spec, false);
  int64_t n_pos = 1;
  for (const AttentionTask& task : tasks_) n_pos = std::max(n_pos, task.n_pos);
  // [H, 2 n_pos - 1]: the bias of the distances -(n_pos - 1) .. n_pos - 1.
  const int64_t stride = 2 * n_pos - 1;
  std::vector<float> bias(static_cast<size_t>(spec.n_head * stride)), row(static_cast<size_t>(spec.n_head));
  for (int64_t distance = 1 - n_pos; distance < n_pos; ++distance) {
    relative.weight->read_row(
        relative_bucket(distance, relative.n_bucket, relative.max_distance, relative.both_ways), row.data());
    for (int64_t h = 0; h < spec.n_head; ++h)
      bias[static_cast<size_t>(h * stride + distance + n_pos - 1)] = row[static_cast<size_t>(h)];
  }
  attend_rows(q, spec, bias.data() + n_pos - 1, stride, out);
  return out;
}

NativeOps::Act NativeOps::cross_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                          const AttentionSpec& spec) {
  CHECK(spec.n_head == spec.n_kv_head && !spec.causal);
  Act out = make(q.rows(), q.columns());
  const bool cached = batch.cached();
  CHECK(!cached || cache_ != nullptr);
  const Source& source = batch.source;
  const int64_t d = spec.head_dim;
  std::vector<int64_t> lengths;
  if (!cached) lengths.assign(source.lengths.begin(), source.lengths.end());
  OwnBlocks own(pool_, lengths, spec.n_kv_head, d);
  tasks_.clear();
  for (int64_t s = 0; s < batch.n_seq(); ++s) {
    const auto i = static_cast<size_t>(s);
    const int64_t begin = batch.seq_begin[i], end = batch.seq_begin[i + 1], n = source.lengths[i];
    const std::span<const int32_t> pages = cached ? cache_->pages_of(batch, s) : std::span<const int32_t>();
    CHECK(!cached || KvShape::pages_for(n) <= std::ssize(pages));
    for (int64_t h = 0; h < spec.n_kv_head; ++h) {
      const KvHead head = cached ? cache_->head(spec.layer, h, pages) : own.next(n);
      const int64_t first = source.tokens.empty() ? 0 : source.seq_begin[i];
      const int64_t last = source.tokens.empty() ? 0 : source.seq_begin[i + 1];
      for (int64_t r = first; r < last; ++r) head.write(r - first, k.row(r) + h * d, v.row(r) + h * d);
      if (begin < end) tasks_.push_back({head, h, begin, end - begin, 0, n});
    }
  }
  attend_rows(q, spec, nullptr, 0, out);
  return out;
}

}  // namespace volant
