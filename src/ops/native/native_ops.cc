#include "ops/native/native_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "kernels/pack.h"

namespace volant {
namespace {

constexpr int64_t kPanelStep = 2;       // panels that a tile of many rows takes at once
constexpr int64_t kAttentionRows = 16;  // rows of a sequence in one task

// The product of those rows with all of a weight.
MatmulArgs of_weight(MatmulArgs args, const NativeWeight& w) {
  args.w = w.data();
  args.w_scales = w.scales();
  args.n_in = w.n_in();
  args.n_out = w.n_out();
  args.y_stride = w.n_out();
  return args;
}

}  // namespace

NativeOps::Act NativeOps::embed(const Weight& w, std::span<const int32_t> ids) {
  Act out = make(static_cast<int64_t>(ids.size()), w.n_in());
  threads_.parallel_for(out.rows(), grain_for(kGrainNumbers, 8 * w.n_in()), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) w.read_row(ids[static_cast<size_t>(r)], out.row(r));
  });
  return out;
}

template <class F>
void NativeOps::convert(const Act& x, const F& f) {
  const int64_t rows = x.rows(), n = x.columns();
  if (waiting_.holds(x.id())) {
    waiting_.follow({x.id()}, 0, [f, rows](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < rows; ++r) f(r, begin, end);
    });
    finish();
    return;
  }
  threads_.parallel_for(rows, grain_for(kGrainNumbers, n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r, int64_t{0}, n);
  });
}

void NativeOps::prepare(const Act& x, const Weight& w, MatmulArgs& args) {
  const int64_t rows = x.rows(), n = x.columns();
  using Input = MatmulInput;
  const Input input = w.input();
  if (input == Input::kF32) {
    if (waiting_.holds(x.id())) finish();
    args.x = x.row(0);
    args.x_stride = n;
    return;
  }
  Prepared& p = prepared_;
  if (p.id != x.id() || p.input != input) {
    p = Prepared{};
    p.id = x.id();
    p.input = input;
    const float* from = x.row(0);
    if (input == Input::kBF16) {
      const int64_t stride = p.stride = (n + 1) / 2 * 2;
      p.rows = pool_.take(static_cast<size_t>(rows * stride) * 2);
      auto* to = p.rows.as<uint16_t>();
      convert(x, [=](int64_t r, int64_t begin, int64_t end) {
        kernels().to_bf16(from + r * n + begin, end - begin, to + r * stride + begin);
      });
    } else {
      const int64_t n_block = n / kQ8Block;
      p.stride = n;
      p.rows = pool_.take(static_cast<size_t>(rows * n));
      p.scales = pool_.take(static_cast<size_t>(rows * n_block) * sizeof(float));
      p.sums = pool_.take(static_cast<size_t>(rows * n_block) * 2 * sizeof(int32_t));
      auto* to = p.rows.as<int8_t>();
      auto* scales = p.scales.as<float>();
      auto* sums = p.sums.as<int32_t>();
      convert(x, [=](int64_t r, int64_t begin, int64_t end) {
        const int64_t block = r * n_block + begin / kQ8Block;
        kernels().quantize_q8(from + r * n + begin, end - begin, to + r * n + begin, scales + block,
                              sums + 2 * block);
      });
    }
  }
  args.x = p.rows.as<std::byte>();
  args.x_stride = p.stride;
  args.x_scales = p.scales.as<float>();
  args.x_sums = p.sums.as<int32_t>();
}

NativeOps::Act NativeOps::linear(const Act& x, const Weight& w) {
  CHECK(x.columns() == w.n_in());
  if (see_input_) see_input_(w, x);
  const bool waits = may_wait(x.rows());
  if (!waits) finish();
  Act out = make_later(x.rows(), w.n_out());
  if (x.rows() == 0) return out;
  MatmulArgs args;
  prepare(x, w, args);
  args.n_rows = x.rows();
  args.y = out.row(0);
  if (waits) {
    note(w, false);
    pool_.hold();
    waiting_.add(w.dtype(), of_weight(args, w), out.id());
    return out;
  }
  multiply(args, w);
  for (const AdapterRows& part : adapter_rows_) {
    const NativeAdapter* adapter = w.adapter(part.number);
    if (adapter == nullptr) continue;
    const bool all = adapter_rows_.size() == 1;
    CHECK(all || x.rows() == adapter_rows_.back().end);
    adapt(x, *adapter, all ? 0 : part.begin, all ? x.rows() : part.end, out);
  }
  return out;
}

void NativeOps::set_adapters(const Batch& batch) {
  adapter_rows_.clear();
  if (std::ranges::none_of(batch.adapter, [](int32_t number) { return number != 0; })) return;
  for (size_t s = 0; s < batch.adapter.size(); ++s) {
    const int64_t begin = batch.seq_begin[s], end = batch.seq_begin[s + 1];
    if (!adapter_rows_.empty() && adapter_rows_.back().number == batch.adapter[s]) {
      adapter_rows_.back().end = end;
    } else {
      adapter_rows_.push_back({batch.adapter[s], begin, end});
    }
  }
}

void NativeOps::adapt(const Act& x, const NativeAdapter& adapter, int64_t begin, int64_t end, const Act& y) {
  const Act inner = make(end - begin, adapter.a.n_out()), outer = make(end - begin, adapter.b.n_out());
  MatmulArgs args;
  args.n_rows = end - begin;
  args.x = x.row(begin);
  args.x_stride = x.columns();
  args.y = inner.row(0);
  multiply(args, adapter.a);
  args.x = inner.row(0);
  args.x_stride = inner.columns();
  args.y = outer.row(0);
  multiply(args, adapter.b);
  const Kernels& k = kernels();
  const int64_t n = y.columns();
  threads_.parallel_for(end - begin, grain_for(kGrainNumbers, n), [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      float* row = y.row(begin + r);
      k.add(row, outer.row(r), n, row);
      for (size_t o = 0; o < adapter.factor.size(); ++o) row[o] *= adapter.factor[o];
    }
  });
}

void NativeOps::multiply(const MatmulArgs& product, const Weight& w) {
  const MatmulArgs args = of_weight(product, w);
  const auto matmul = kernels().matmul[w.dtype()];
  const int64_t n_panel = panel_count(w.n_out()), n_step = (n_panel + kPanelStep - 1) / kPanelStep;
  const int64_t products = kPanelStep * kPanel * w.n_in() * args.n_rows;
  threads_.parallel_for(n_step, grain_for(kGrainProducts, products), [&](int64_t begin, int64_t end) {
    MatmulArgs part = args;
    part.panel_begin = begin * kPanelStep;
    part.panel_end = std::min(end * kPanelStep, n_panel);
    matmul(part);
  });
}

NativeOps::Act NativeOps::add_bias(const Act& x, const Weight& b) {
  CHECK(x.columns() == b.n_out());
  note(b, true);
  const int64_t rows = x.rows(), n = x.columns();
  if (waiting_.holds(x.id())) {
    Act out = make_later(rows, n);
    const float *from = x.row(0), *bias = b.vector();
    float* to = out.row(0);
    waiting_.follow({x.id()}, out.id(), [=](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < rows * n; at += n)
        kernels().add(from + at, bias + begin, end - begin, to + at);
    });
    return out;
  }
  Act out = make(rows, n);
  for_rows(x, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) kernels().add(x.row(r), b.vector(), n, out.row(r));
  });
  return out;
}

NativeOps::Act NativeOps::rms_norm(const Act& x, const Weight& w, float eps, float offset) {
  const int64_t n = w.n_out();
  CHECK(x.columns() % n == 0);
  Act out = make(x.rows(), x.columns());
  note(w, true);
  const Kernels& k = kernels();
  for_rows(x, 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * x.columns(); at < end * x.columns(); at += n)
      k.rms_norm(x.row(0) + at, w.vector(), n, eps, offset, out.row(0) + at);
  });
  return out;
}

NativeOps::Act NativeOps::layer_norm(const Act& x, const Weight& w, const Weight* b, float eps) {
  CHECK(x.columns() == w.n_out());
  Act out = make(x.rows(), x.columns());
  const Kernels& k = kernels();
  const float* bias = b == nullptr ? nullptr : b->vector();
  for_rows(x, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      k.layer_norm(x.row(r), w.vector(), bias, x.columns(), eps, out.row(r));
  });
  return out;
}

void NativeOps::RopeTable::grow(int64_t to) {
  to = std::max<int64_t>({to, 2 * n_pos, 256});
  const auto half = static_cast<int64_t>(inv_freq.size());
  cos.resize(static_cast<size_t>(to * half));
  sin.resize(cos.size());
  for (int64_t pos = n_pos; pos < to; ++pos) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(pos) * static_cast<double>(inv_freq[static_cast<size_t>(i)]);
      cos[static_cast<size_t>(pos * half + i)] = static_cast<float>(std::cos(angle)) * scale;
      sin[static_cast<size_t>(pos * half + i)] = static_cast<float>(std::sin(angle)) * scale;
    }
  }
  n_pos = to;
}

const NativeOps::RopeTable& NativeOps::rope_table(const RopeSpec& spec, int64_t n_pos) {
  auto table = std::find_if(rope_tables_.begin(), rope_tables_.end(), [&](const RopeTable& each) {
    return each.scale == spec.scale && each.inv_freq == spec.inv_freq;
  });
  if (table == rope_tables_.end()) {
    rope_tables_.push_back({.inv_freq = spec.inv_freq, .cos = {}, .sin = {}, .scale = spec.scale});
    table = rope_tables_.end() - 1;
  }
  if (table->n_pos < n_pos) table->grow(n_pos);
  return *table;
}

NativeOps::Act NativeOps::rope(const Act& x, const Batch& batch, const RopeSpec& spec) {
  Act out = make(x.rows(), x.columns());
  if (x.rows() == 0) return out;
  const RopeTable& table = rope_table(spec, 1 + *std::max_element(batch.pos.begin(), batch.pos.end()));
  if (in_pass_) {
    waiting_.note(&spec, sizeof spec);
    waiting_.note(spec.inv_freq.data(), spec.inv_freq.size() * sizeof(float));
  }
  const auto half = static_cast<int64_t>(spec.inv_freq.size());
  const Kernels& k = kernels();
  threads_.parallel_for(x.rows(), grain_for(kGrainNumbers, x.columns()), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = batch.pos[static_cast<size_t>(r)] * half;
      k.rope(x.row(r), spec.n_head, spec.head_dim, 2 * half, table.cos.data() + at, table.sin.data() + at,
             out.row(r));
    }
  });
  return out;
}

NativeOps::OwnBlocks::OwnBlocks(BufferPool& pool, std::span<const int64_t> lengths, int64_t n_kv_head,
                                int64_t head_dim)
    : layout(KvLayout::of(DType::kF32, head_dim)) {
  int64_t n_block = 0;
  for (const int64_t n : lengths) n_block += n_kv_head * KvShape::pages_for(n);
  if (n_block > 0) buffer = pool.take(static_cast<size_t>(n_block * layout.bytes));
  free = buffer.as<std::byte>();
}

KvHead NativeOps::OwnBlocks::next(int64_t n_pos) {
  const KvHead head{layout, free, layout.bytes, nullptr};
  free += KvShape::pages_for(n_pos) * layout.bytes;
  return head;
}

void NativeOps::ask_for_begin(const AttentionTask& task) {
  constexpr int64_t kLine = 64, kMost = 4096;  // the processor sees by then that it goes on
  const KvLayout& layout = task.head.layout;
  const std::byte* keys = task.head.block(0);
  const int64_t n = std::min(task.n_pos, kKvBlock), each = layout.key_scales_at / kKvBlock;
  for (int64_t at = 0; at < std::min(kMost, n * each); at += kLine) __builtin_prefetch(keys + at);
  for (int64_t at = 0; at < std::min(kMost, n * each); at += kLine)
    __builtin_prefetch(keys + layout.values_at + at);
}

void NativeOps::write(const AttentionTask& task, const Act& k, const Act& v, int64_t head_dim) {
  const int64_t column = task.kv_head * head_dim;
  for (int64_t r = task.row; r < task.row + task.n_rows; ++r)
    task.head.write(task.first_pos + r - task.row, k.row(r) + column, v.row(r) + column);
}

BufferPool::Buffer NativeOps::plan_attention(const Act& k, const Act& v, const Batch& batch,
                                             const AttentionSpec& spec, bool leave_short) {
  const bool cached = batch.cached();
  CHECK(!cached || cache_ != nullptr);
  const int64_t d = spec.head_dim;
  std::vector<int64_t> lengths;
  if (!cached) {
    for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s)
      lengths.push_back(batch.seq_begin[s + 1] - batch.seq_begin[s]);
  }
  OwnBlocks own(pool_, lengths, spec.n_kv_head, d);
  tasks_.clear();
  writes_.clear();
  for (int64_t s = 0; s < batch.n_seq(); ++s) {
    const int64_t begin = batch.seq_begin[static_cast<size_t>(s)],
                  end = batch.seq_begin[static_cast<size_t>(s) + 1];
    if (begin == end) continue;
    const int64_t first_pos = batch.pos[static_cast<size_t>(begin)], n_pos = first_pos + end - begin;
    const std::span<const int32_t> pages = cached ? cache_->pages_of(batch, s) : std::span<const int32_t>();
    CHECK(cached ? KvShape::pages_for(n_pos) <= std::ssize(pages) : first_pos == 0);
    for (int64_t h = 0; h < spec.n_kv_head; ++h) {
      const KvHead head = cached ? cache_->head(spec.layer, h, pages) : own.next(n_pos);
      const bool short_one = leave_short && end - begin <= kAttentionRows;
      if (!short_one) writes_.push_back({head, h, begin, end - begin, first_pos, n_pos});
      // The last rows see the most: they go first, so that the threads end together.
      for (int64_t r = end; r > begin; r -= kAttentionRows) {
        const int64_t first = std::max(begin, r - kAttentionRows);
        tasks_.push_back({head, h, first, r - first, first_pos + first - begin, n_pos, short_one});
      }
    }
  }
  const int64_t numbers =
      k.rows() * d * 16 / std::max<int64_t>(1, batch.n_seq());  // strided, so they count more
  threads_.parallel_for(static_cast<int64_t>(writes_.size()), grain_for(kGrainNumbers, numbers),
                        [&](int64_t begin, int64_t end) {
                          for (int64_t i = begin; i < end; ++i)
                            write(writes_[static_cast<size_t>(i)], k, v, d);
                        });
  return std::move(own.buffer);
}

NativeOps::Act NativeOps::attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                    const AttentionSpec& spec) {
  CHECK(spec.causal || spec.window == 0);
  Act out = make(q.rows(), q.columns());
  const BufferPool::Buffer own = plan_attention(k, v, batch, spec, true);
  const int64_t group = spec.n_head / spec.n_kv_head, d = spec.head_dim;
  int64_t products = 0;
  for (const AttentionTask& task : tasks_)
    products += task.n_rows * (spec.causal ? task.first_pos + task.n_rows : task.n_pos) * group * d * 2;
  const auto n_task = static_cast<int64_t>(tasks_.size());
  const auto attention = kernels().attention;
  const auto first_block = [&](const AttentionTask& task) -> const std::byte* {
    const int64_t pos = spec.window > 0 ? std::max<int64_t>(0, task.first_pos + 1 - spec.window) : 0;
    return task.head.block(pos / kKvBlock);
  };
  const int64_t each = products / std::max<int64_t>(1, n_task);
  threads_.parallel_for(n_task, grain_for(kGrainAttention, each), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const AttentionTask& task = tasks_[static_cast<size_t>(t)];
      if (t == begin && task.n_rows == 1) ask_for_begin(task);
      if (task.writes) write(task, k, v, d);
      const int64_t column = task.kv_head * group * d;
      attention({.q = q.row(task.row) + column,
                 .q_stride = q.columns(),
                 .n_rows = task.n_rows,
                 .n_group = group,
                 .kv = task.head.layout,
                 .blocks = task.head.blocks,
                 .block_stride = task.head.block_stride,
                 .pages = task.head.pages,
                 .first_pos = task.first_pos,
                 .n_pos = spec.causal ? 0 : task.n_pos,
                 .window = spec.window,
                 .scale = spec.scale,
                 .softcap = spec.softcap,
                 .out = out.row(task.row) + column,
                 .out_stride = q.columns(),
                 .next = t + 1 < n_task ? first_block(tasks_[static_cast<size_t>(t + 1)]) : nullptr});
    }
  });
  return out;
}

template <class F>
NativeOps::Act NativeOps::number_by_number(const Act& x, const Act* y, int64_t cost, const F& f) {
  CHECK(y == nullptr || (y->rows() == x.rows() && y->columns() == x.columns()));
  const float *from = x.row(0), *other = y == nullptr ? nullptr : y->row(0);
  const auto second = [](const float* at, int64_t i) { return at == nullptr ? nullptr : at + i; };
  const uint64_t y_id = y == nullptr ? x.id() : y->id();
  const int64_t rows = x.rows(), n = x.columns();
  if (waiting_.holds(x.id()) || waiting_.holds(y_id)) {
    Act out = make_later(rows, n);
    float* to = out.row(0);
    waiting_.follow({x.id(), y_id}, out.id(), [=](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < rows * n; at += n) f(from + at, second(other, at), end - begin, to + at);
    });
    return out;
  }
  Act out = make(rows, n);
  for_rows(x, cost, [&](int64_t begin, int64_t end) {
    f(from + begin * n, second(other, begin * n), (end - begin) * n, out.row(begin));
  });
  return out;
}

template <class F>
NativeOps::Act NativeOps::in_place(Act&& x, const Act& y, int64_t cost, const F& f) {
  if (waiting_.holds(x.id()) || waiting_.holds(y.id())) return number_by_number(x, &y, cost, f);
  CHECK(y.rows() == x.rows() && y.columns() == x.columns());
  for_rows(x, cost, [&](int64_t begin, int64_t end) {
    f(x.row(begin), y.row(begin), (end - begin) * x.columns(), x.row(begin));
  });
  return std::move(x);
}

namespace {
void silu_mul_numbers(const float* gate, const float* up, int64_t n, float* out) {
  kernels().silu_mul(gate, up, n, out);
}
auto gelu_mul_numbers(Gelu kind) {
  return [tanh = kind == Gelu::kTanh](const float* gate, const float* up, int64_t n, float* out) {
    kernels().gelu_mul(gate, up, n, tanh, out);
  };
}
}  // namespace

NativeOps::Act NativeOps::silu_mul(const Act& gate, const Act& up) {
  return number_by_number(gate, &up, 4, silu_mul_numbers);
}
NativeOps::Act NativeOps::silu_mul(Act&& gate, const Act& up) {
  return in_place(std::move(gate), up, 4, silu_mul_numbers);
}
NativeOps::Act NativeOps::gelu_mul(const Act& gate, const Act& up, Gelu kind) {
  return number_by_number(gate, &up, 4, gelu_mul_numbers(kind));
}
NativeOps::Act NativeOps::gelu_mul(Act&& gate, const Act& up, Gelu kind) {
  return in_place(std::move(gate), up, 4, gelu_mul_numbers(kind));
}

NativeOps::Act NativeOps::gelu(const Act& x, Gelu kind) {
  return number_by_number(x, nullptr, 4, [kind](const float* from, const float*, int64_t n, float* out) {
    kernels().gelu_mul(from, nullptr, n, kind == Gelu::kTanh, out);
  });
}

NativeOps::Act NativeOps::softcap(const Act& x, float cap) {
  return number_by_number(x, nullptr, 4, [cap](const float* from, const float*, int64_t n, float* out) {
    kernels().softcap(from, n, cap, out);
  });
}

NativeOps::Act NativeOps::scale(const Act& x, float factor) {
  return number_by_number(x, nullptr, 1, [factor](const float* from, const float*, int64_t n, float* out) {
    kernels().scale(from, n, factor, out);
  });
}

NativeOps::Act NativeOps::add(const Act& a, const Act& b) {
  return number_by_number(
      a, &b, 1, [](const float* x, const float* y, int64_t n, float* out) { kernels().add(x, y, n, out); });
}

NativeOps::Act NativeOps::relu(const Act& x) {
  return number_by_number(x, nullptr, 1, [](const float* from, const float*, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = from[i] > 0 ? from[i] : 0.0F;
  });
}

NativeOps::Act NativeOps::take_rows(const Act& x, std::span<const int32_t> rows) {
  Act out = make(static_cast<int64_t>(rows.size()), x.columns());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out.row(static_cast<int64_t>(i)), x.row(rows[i]),
                static_cast<size_t>(x.columns()) * sizeof(float));
  }
  return out;
}

NativeOps::Act NativeOps::take_columns(const Act& x, int64_t begin, int64_t count) {
  CHECK(begin >= 0 && begin + count <= x.columns());
  Act out = make(x.rows(), count);
  for (int64_t r = 0; r < x.rows(); ++r)
    std::memcpy(out.row(r), x.row(r) + begin, static_cast<size_t>(count) * sizeof(float));
  return out;
}

}  // namespace volant
