// NativeOps: the concept Ops on our kernels, for inference. Activations are f32 rows in pooled buffers;
// weights stay in the number type of the file. Row for row the result does not depend on what else is in the
// batch. One forward pass at a time.
#pragma once
#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ops/native/column_loop.h"
#include "ops/native/kv_cache.h"
#include "ops/native/memory.h"
#include "ops/native/weight.h"
#include "ops/ops.h"

namespace volant {

// Activations [rows, columns], f32, row-major; the buffer goes back to the pool with it.
class NativeAct {
 public:
  NativeAct() = default;
  NativeAct(BufferPool& pool, int64_t rows, int64_t columns, uint64_t id)
      : buffer_(pool.take(static_cast<size_t>(rows * columns) * sizeof(float))),
        rows_(rows),
        columns_(columns),
        id_(id) {}
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  float* row(int64_t r) const { return buffer_.as<float>() + r * columns_; }
  uint64_t id() const { return id_; }  // never given twice
  std::span<const float> numbers() const { return {row(0), static_cast<size_t>(rows_ * columns_)}; }

 private:
  BufferPool::Buffer buffer_;
  int64_t rows_ = 0, columns_ = 0;
  uint64_t id_ = 0;
};

class NativeOps {
 public:
  using Act = NativeAct;
  using Weight = NativeWeight;
  using Routing = volant::Routing;

  // `cache` may be null when no batch names slots.
  NativeOps(ThreadPool& threads, const KvCache* cache) : threads_(threads), cache_(cache) {}

  Act embed(const Weight& w, std::span<const int32_t> ids);
  Act linear(const Act& x, const Weight& w);
  Act add_bias(const Act& x, const Weight& b);
  Act rms_norm(const Act& x, const Weight& w, float eps, float offset = 0);
  Act layer_norm(const Act& x, const Weight& w, const Weight* b, float eps);
  Act rope(const Act& x, const Batch& batch, const RopeSpec& spec);
  Act attention(const Act& q, const Act& k, const Act& v, const Batch& batch, const AttentionSpec& spec);
  Act relative_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                         const AttentionSpec& spec, const RelativeBias<Weight>& relative);
  Act cross_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                      const AttentionSpec& spec);
  Routing route(const Act& logits, const RouteSpec& spec);
  Act combine(std::span<const Act> parts, const Routing& routing);
  Act relu(const Act& x);
  Act silu_mul(const Act& gate, const Act& up);
  Act gelu_mul(const Act& gate, const Act& up, Gelu kind);
  // In the memory of a gate that nobody needs any more: of many rows the largest piece of a step.
  Act silu_mul(Act&& gate, const Act& up);
  Act gelu_mul(Act&& gate, const Act& up, Gelu kind);
  Act gelu(const Act& x, Gelu kind);
  Act softcap(const Act& x, float cap);
  Act scale(const Act& x, float factor);
  Act add(const Act& a, const Act& b);
  Act take_rows(const Act& x, std::span<const int32_t> rows);
  Act take_columns(const Act& x, int64_t begin, int64_t count);
  Act features(const Batch& batch);
  Act conv2d(const Act& x, const Weight& w, const Weight& b, const ConvSpec& spec);
  Act pool2d(const Act& x, const PoolSpec& spec);
  Act batch_norm(const Act& x, const BatchNorm<Weight>& norm);
  Act dropout(const Act& x, float p);
  Act recurrent(const Act& gates, const Weight& w, const Weight& b, const Batch& batch,
                const RecurrentSpec& spec);
  Act pool_rows(const Act& x, const Batch& batch, RowPool how);
  Act join_columns(const Act& x, const Act& y);

  // Sees the weight and the rows of each product that follows, before it: for calibration. Empty: nobody.
  using InputObserver = std::function<void(const NativeWeight& w, const NativeAct& x)>;
  void observe_inputs(InputObserver see) { see_input_ = std::move(see); }

  // Which rows of the pass that follows go through which adapter.
  void set_adapters(const Batch& batch);

  // While one lives, products of few rows may wait for what follows them (column_loop.h): the numbers of an
  // activation can be read when it is gone.
  class Pass {
   public:
    explicit Pass(NativeOps& ops) : ops_(ops) {
      ops_.in_pass_ = true;
      ops_.waiting_.begin_pass();
    }
    ~Pass() {
      ops_.finish();
      ops_.in_pass_ = false;
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    NativeOps& ops_;
  };

  ThreadPool& threads() { return threads_; }
  size_t activation_bytes() const { return pool_.bytes(); }

 private:
  // The least work worth a piece of its own for another thread: waking and waiting cost about a microsecond.
  static constexpr int64_t kGrainProducts = 64 * 1024;  // multiply-adds
  static constexpr int64_t kGrainNumbers = 8 * 1024;    // of cheap operations on activations
  // Of attention, whose keys and values come from far while weights pass through the caches.
  static constexpr int64_t kGrainAttention = 8 * 1024;  // multiply-adds
  static constexpr int64_t kFewRows = 31;               // products of so many wait for memory
  static int64_t grain_for(int64_t least, int64_t per_item) {
    return std::max<int64_t>(1, least / std::max<int64_t>(1, per_item));
  }

  // The rows of an activation as a weight's kernel wants them; kept for the next weight that wants the same.
  struct Prepared {
    uint64_t id = 0;
    MatmulInput input = MatmulInput::kF32;
    BufferPool::Buffer rows, scales, sums;
    int64_t stride = 0;
  };
  // Angles of all positions so far for one set of frequencies.
  struct RopeTable {
    std::vector<float> inv_freq, cos, sin;
    float scale = 1;  // of cos and sin
    int64_t n_pos = 0;
    void grow(int64_t to);
  };
  // One piece of attention: some rows of a sequence on one key/value head.
  struct AttentionTask {
    KvHead head;
    int64_t kv_head, row, n_rows, first_pos;
    int64_t n_pos;        // of the sequence with this batch
    bool writes = false;  // its keys and values first
  };

  // Keys and values of sequences that no cache keeps.
  struct OwnBlocks {
    // Room for `n_kv_head` heads of sequences of these lengths.
    OwnBlocks(BufferPool& pool, std::span<const int64_t> lengths, int64_t n_kv_head, int64_t head_dim);
    KvHead next(int64_t n_pos);
    KvLayout layout;
    BufferPool::Buffer buffer;
    std::byte* free = nullptr;
  };

  // Neighbouring rows of a batch with the same adapter.
  struct AdapterRows {
    int32_t number;
    int64_t begin, end;
  };

  // y = x w^T for `rows` rows.
  void multiply(const MatmulArgs& args, const Weight& w);
  void adapt(const Act& x, const NativeAdapter& adapter, int64_t begin, int64_t end, const Act& y);
  // Room for what is computed at once, when all that waits is there.
  Act make(int64_t rows, int64_t columns) {
    finish();
    if (in_pass_) threads_.look_ahead();
    return make_later(rows, columns);
  }
  Act make_later(int64_t rows, int64_t columns) { return Act(pool_, rows, columns, ++last_id_); }
  // Computes what waits.
  void finish() {
    if (waiting_.empty()) return;
    waiting_.run(threads_, kGrainProducts);
    pool_.release();
  }
  // A weight that is used now, and its numbers where they are few.
  void note(const Weight& w, bool vector) {
    if (!in_pass_) return;
    waiting_.note(&w, sizeof w);
    if (vector) waiting_.note(w.vector(), static_cast<size_t>(w.n_out()) * sizeof(float));
  }
  // Whether a product of so many rows may wait.
  bool may_wait(int64_t rows) const {
    return in_pass_ && rows <= kFewRows && adapter_rows_.empty() && !see_input_;
  }
  void prepare(const Act& x, const Weight& w, MatmulArgs& args);
  // f(begin, end) puts columns of all rows of x in that form; rows in turns when x is there, or by the loop
  // that makes x.
  template <class F>
  void convert(const Act& x, const F& f);
  // f(x, y, n, out) makes n numbers of the result from those in the same places; y may be null. `cost`
  // numbers' worth of work for each.
  template <class F>
  Act number_by_number(const Act& x, const Act* y, int64_t cost, const F& f);
  // The same in the memory of x, unless x or y still waits to be computed.
  template <class F>
  Act in_place(Act&& x, const Act& y, int64_t cost, const F& f);
  // f(begin, end) for runs of rows of x; `cost` numbers' worth of work for each number.
  template <class F>
  void for_rows(const Act& x, int64_t cost, const F& f) {
    threads_.parallel_for(x.rows(), grain_for(kGrainNumbers, cost * x.columns()), f);
  }
  const RopeTable& rope_table(const RopeSpec& spec, int64_t n_pos);
  // Lists the work and writes the batch's keys and values to the cache, or to a buffer of its own.
  // `leave_short`: tasks that are all of their sequence's rows write those themselves.
  BufferPool::Buffer plan_attention(const Act& k, const Act& v, const Batch& batch, const AttentionSpec& spec,
                                    bool leave_short);
  // Asks for the first keys and values at once: they come from far, since weights passed through the caches.
  static void ask_for_begin(const AttentionTask& task);
  static void write(const AttentionTask& task, const Act& k, const Act& v, int64_t head_dim);

  // Attention of the listed work with a bias for each head and distance, in plain loops.
  void attend_rows(const Act& q, const AttentionSpec& spec, const float* bias, int64_t bias_stride, Act& out);

  ThreadPool& threads_;
  InputObserver see_input_;
  std::vector<AdapterRows> adapter_rows_;  // empty: no adapters in this pass

  const KvCache* cache_;
  BufferPool pool_;
  ColumnLoop waiting_;
  bool in_pass_ = false;
  uint64_t last_id_ = 0;
  Prepared prepared_;
  std::vector<RopeTable> rope_tables_;
  std::vector<AttentionTask> tasks_, writes_;  // of the attention under way
};

static_assert(Ops<NativeOps>);

}  // namespace volant
