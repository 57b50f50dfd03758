// Rows of numbers, recurrent layers, and sequences that become one row.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "ops/native/native_ops.h"

namespace volant {
namespace {

struct Sequence {
  int64_t begin, length;
  // The row that is read as number `step` of the sequence.
  int64_t row(int64_t step, bool backwards) const { return begin + (backwards ? length - 1 - step : step); }
};

// Longest first: those that still have a row at a step are the first ones.
std::vector<Sequence> by_length(const Batch& batch) {
  std::vector<Sequence> sequences;
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s)
    sequences.push_back({batch.seq_begin[s], batch.seq_begin[s + 1] - batch.seq_begin[s]});
  std::ranges::stable_sort(sequences, std::ranges::greater(), &Sequence::length);
  return sequences;
}

int64_t n_with_row(const std::vector<Sequence>& sequences, int64_t step) {
  const auto end = std::ranges::find_if(sequences, [&](const Sequence& s) { return s.length <= step; });
  return end - sequences.begin();
}

// 1 / (1 + e^-x) = tanh(x / 2) / 2 + 1 / 2; x and y may be the same.
void sigmoid(const float* x, int64_t n, float* y) {
  kernels().softcap(x, n, 2, y);
  for (int64_t i = 0; i < n; ++i) y[i] = 0.25F * y[i] + 0.5F;
}
void tanh_of(const float* x, int64_t n, float* y) { kernels().softcap(x, n, 1, y); }

// One row of an LSTM: x and h are the two parts of the gates [4 * n], `gates` is room for them. c changes,
// out is h.
void lstm_row(const float* x, const float* h, int64_t n, float* gates, float* c, float* out) {
  kernels().add(x, h, 4 * n, gates);
  float *i = gates, *f = gates + n, *g = gates + 2 * n, *o = gates + 3 * n;
  sigmoid(i, 2 * n, i);
  tanh_of(g, n, g);
  sigmoid(o, n, o);
  for (int64_t k = 0; k < n; ++k) c[k] = f[k] * c[k] + i[k] * g[k];
  tanh_of(c, n, out);
  for (int64_t k = 0; k < n; ++k) out[k] *= o[k];
}

// The same of a GRU [3 * n]; `before` is the h of the row before.
void gru_row(const float* x, const float* h, int64_t n, const float* before, float* gates, float* out) {
  kernels().add(x, h, 2 * n, gates);
  sigmoid(gates, 2 * n, gates);
  const float *r = gates, *z = gates + n;
  float* candidate = gates + 2 * n;
  for (int64_t k = 0; k < n; ++k) candidate[k] = x[2 * n + k] + r[k] * h[2 * n + k];
  tanh_of(candidate, n, candidate);
  for (int64_t k = 0; k < n; ++k) out[k] = candidate[k] + z[k] * (before[k] - candidate[k]);
}

}  // namespace

NativeOps::Act NativeOps::features(const Batch& batch) {
  Act out = make(batch.n_rows(), batch.feature_columns);
  std::copy(batch.features.begin(), batch.features.end(), out.row(0));
  return out;
}

NativeOps::Act NativeOps::dropout(const Act& x, float) {
  Act out = make(x.rows(), x.columns());
  std::copy_n(x.row(0), x.rows() * x.columns(), out.row(0));
  return out;
}

NativeOps::Act NativeOps::join_columns(const Act& x, const Act& y) {
  CHECK(x.rows() == y.rows());
  Act out = make(x.rows(), x.columns() + y.columns());
  for (int64_t r = 0; r < x.rows(); ++r) {
    std::copy_n(x.row(r), x.columns(), out.row(r));
    std::copy_n(y.row(r), y.columns(), out.row(r) + x.columns());
  }
  return out;
}

NativeOps::Act NativeOps::recurrent(const Act& gates, const Weight& w, const Weight& b, const Batch& batch,
                                    const RecurrentSpec& spec) {
  const int64_t n = spec.units, n_gates = spec.n_gates() * n;
  const bool lstm = spec.kind == RecurrentSpec::Kind::kLstm;
  CHECK(gates.columns() == n_gates && w.n_out() == n_gates && w.n_in() == n);
  const std::vector<Sequence> sequences = by_length(batch);
  const auto n_seq = static_cast<int64_t>(sequences.size());
  Act out = make(gates.rows(), n);
  const Act work = make(n_seq, n_gates), cell = make(n_seq, n);
  Act before = make(n_seq, n);
  std::fill_n(cell.row(0), n_seq * n, 0.0F);
  std::fill_n(before.row(0), n_seq * n, 0.0F);
  const int64_t n_steps = sequences.empty() ? 0 : sequences[0].length;
  for (int64_t step = 0, here = n_with_row(sequences, 0); step < n_steps; ++step) {
    const int64_t next = n_with_row(sequences, step + 1);
    const Act part = linear(before, w);
    Act after = make(next, n);
    threads_.parallel_for(here, grain_for(kGrainNumbers, 8 * n_gates), [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        const int64_t row = sequences[static_cast<size_t>(s)].row(step, spec.backwards);
        kernels().add(part.row(s), b.vector(), n_gates, part.row(s));
        if (lstm) {
          lstm_row(gates.row(row), part.row(s), n, work.row(s), cell.row(s), out.row(row));
        } else {
          gru_row(gates.row(row), part.row(s), n, before.row(s), work.row(s), out.row(row));
        }
        if (s < next) std::copy_n(out.row(row), n, after.row(s));
      }
    });
    before = std::move(after);
    here = next;
  }
  return out;
}

NativeOps::Act NativeOps::pool_rows(const Act& x, const Batch& batch, RowPool how) {
  const int64_t n = x.columns();
  Act out = make(batch.n_seq(), n);
  for (int64_t s = 0; s < out.rows(); ++s) {
    const int64_t begin = batch.seq_begin[static_cast<size_t>(s)],
                  end = batch.seq_begin[static_cast<size_t>(s) + 1];
    float* to = out.row(s);
    std::copy_n(x.row(how == RowPool::kLast ? end - 1 : begin), n, to);
    if (how == RowPool::kLast) continue;
    for (int64_t r = begin + 1; r < end; ++r) {
      const float* from = x.row(r);
      if (how == RowPool::kMean) {
        for (int64_t i = 0; i < n; ++i) to[i] += from[i];
      } else {
        for (int64_t i = 0; i < n; ++i) to[i] = to[i] < from[i] ? from[i] : to[i];
      }
    }
    if (how == RowPool::kMean) kernels().scale(to, n, 1.0F / static_cast<float>(end - begin), to);
  }
  return out;
}

}  // namespace volant
