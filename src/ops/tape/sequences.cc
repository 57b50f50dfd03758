// Recurrent layers and the pooling of sequences on the tape. The states are formed again on the way back.
#include <algorithm>
#include <cmath>

#include "ops/tape/tape_ops.h"

namespace volant {
namespace {

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

// One sequence with its states, row after row in the direction of reading.
struct Walk {
  RecurrentSpec spec;
  std::vector<int64_t> rows;  // of the batch, in order of reading
  const float* x;             // gates' part from the input, [rows of the batch, gates * units]
  std::vector<float> w;       // [gates * units, units]
  const float* b;             // [gates * units]
  std::vector<std::vector<float>> from_state, h, c;  // of each row: h w^T + b of the row before; state; cell

  int64_t units() const { return spec.units; }
  int64_t width() const { return spec.n_gates() * spec.units; }
  const float* gates(size_t t) const { return x + rows[t] * width(); }
  std::vector<float> before(const std::vector<std::vector<float>>& states, size_t t) const {
    return t == 0 ? std::vector<float>(static_cast<size_t>(units())) : states[t - 1];
  }

  void forwards() {
    for (size_t t = 0; t < rows.size(); ++t) {
      const std::vector<float> last = before(h, t);
      std::vector<float> part(b, b + width());
      for (int64_t g = 0; g < width(); ++g)
        for (int64_t u = 0; u < units(); ++u)
          part[static_cast<size_t>(g)] +=
              w[static_cast<size_t>(g * units() + u)] * last[static_cast<size_t>(u)];
      from_state.push_back(part);
      spec.kind == RecurrentSpec::Kind::kLstm ? lstm(t) : gru(t, last);
    }
  }

  float at(size_t t, int64_t gate, int64_t u) const {
    return gates(t)[gate * units() + u] + from_state[t][static_cast<size_t>(gate * units() + u)];
  }

  void lstm(size_t t) {
    std::vector<float> cell = before(c, t), state(static_cast<size_t>(units()));
    for (int64_t u = 0; u < units(); ++u) {
      float& now = cell[static_cast<size_t>(u)];
      now = sigmoid(at(t, 1, u)) * now + sigmoid(at(t, 0, u)) * std::tanh(at(t, 2, u));
      state[static_cast<size_t>(u)] = sigmoid(at(t, 3, u)) * std::tanh(now);
    }
    c.push_back(std::move(cell));
    h.push_back(std::move(state));
  }

  float candidate(size_t t, int64_t u) const {
    return std::tanh(gates(t)[2 * units() + u] +
                     sigmoid(at(t, 0, u)) * from_state[t][static_cast<size_t>(2 * units() + u)]);
  }

  void gru(size_t t, const std::vector<float>& last) {
    std::vector<float> state(static_cast<size_t>(units()));
    for (int64_t u = 0; u < units(); ++u) {
      const float z = sigmoid(at(t, 1, u));
      state[static_cast<size_t>(u)] = (1 - z) * candidate(t, u) + z * last[static_cast<size_t>(u)];
    }
    h.push_back(std::move(state));
  }

  // dh of each row of the batch -> adds to dx of the gates' part.
  void backwards(const float* dh_rows, float* dx) const {
    std::vector<float> dh(static_cast<size_t>(units())), dc(static_cast<size_t>(units()));
    for (size_t t = rows.size(); t-- > 0;) {
      for (int64_t u = 0; u < units(); ++u) dh[static_cast<size_t>(u)] += dh_rows[rows[t] * units() + u];
      std::vector<float> dpart(static_cast<size_t>(width())), next(static_cast<size_t>(units()));
      float* to = dx + rows[t] * width();
      spec.kind == RecurrentSpec::Kind::kLstm ? lstm_back(t, dh, dc, to, dpart)
                                              : gru_back(t, dh, to, dpart, next);
      for (int64_t g = 0; g < width(); ++g)
        for (int64_t u = 0; u < units(); ++u)
          next[static_cast<size_t>(u)] +=
              dpart[static_cast<size_t>(g)] * w[static_cast<size_t>(g * units() + u)];
      dh = std::move(next);
    }
  }

  void lstm_back(size_t t, const std::vector<float>& dh, std::vector<float>& dc, float* dx,
                 std::vector<float>& dpart) const {
    const std::vector<float> last = before(c, t);
    for (int64_t u = 0; u < units(); ++u) {
      const auto k = static_cast<size_t>(u);
      const float i = sigmoid(at(t, 0, u)), f = sigmoid(at(t, 1, u)), g = std::tanh(at(t, 2, u)),
                  o = sigmoid(at(t, 3, u)), tc = std::tanh(c[t][k]);
      dc[k] += dh[k] * o * (1 - tc * tc);
      const float d[4] = {dc[k] * g * i * (1 - i), dc[k] * last[k] * f * (1 - f), dc[k] * i * (1 - g * g),
                          dh[k] * tc * o * (1 - o)};
      for (int64_t gate = 0; gate < 4; ++gate) {
        dx[gate * units() + u] += d[gate];
        dpart[static_cast<size_t>(gate * units() + u)] = d[gate];
      }
      dc[k] *= f;
    }
  }

  void gru_back(size_t t, const std::vector<float>& dh, float* dx, std::vector<float>& dpart,
                std::vector<float>& next) const {
    const std::vector<float> last = before(h, t);
    for (int64_t u = 0; u < units(); ++u) {
      const auto k = static_cast<size_t>(u);
      const float r = sigmoid(at(t, 0, u)), z = sigmoid(at(t, 1, u)), n = candidate(t, u);
      const float dn = dh[k] * (1 - z) * (1 - n * n), dz = dh[k] * (last[k] - n) * z * (1 - z);
      const float part = from_state[t][static_cast<size_t>(2 * units() + u)], dr = dn * part * r * (1 - r);
      dx[u] += dr;
      dx[units() + u] += dz;
      dx[2 * units() + u] += dn;
      dpart[k] = dr;
      dpart[static_cast<size_t>(units() + u)] = dz;
      dpart[static_cast<size_t>(2 * units() + u)] = dn * r;
      next[k] += dh[k] * z;
    }
  }
};

std::vector<int64_t> reading_order(const Batch& batch, int64_t s, bool backwards) {
  std::vector<int64_t> rows;
  for (int64_t r = batch.seq_begin[static_cast<size_t>(s)]; r < batch.seq_begin[static_cast<size_t>(s + 1)];
       ++r)
    rows.push_back(r);
  if (backwards) std::ranges::reverse(rows);
  return rows;
}

std::vector<float> all_numbers(const NativeWeight& w) {
  std::vector<float> numbers(static_cast<size_t>(w.n_out() * w.n_in()));
  for (int64_t o = 0; o < w.n_out(); ++o) w.read_row(o, numbers.data() + o * w.n_in());
  return numbers;
}

}  // namespace

TapeOps::Act TapeOps::recurrent(const Act& gates, const Weight& w, const Weight& b, const Batch& batch,
                                const RecurrentSpec& spec) {
  Act y = record(native_.recurrent(gates.node->value, w.plain, b.plain, batch, spec), {&gates});
  std::vector<std::vector<int64_t>> sequences;
  for (int64_t s = 0; s < batch.n_seq(); ++s) sequences.push_back(reading_order(batch, s, spec.backwards));
  y.node->backward = [gates, &w, &b, spec, sequences = std::move(sequences), node = y.node.get()] {
    float* to = gradient_of(gates);
    for (const std::vector<int64_t>& rows : sequences) {
      Walk walk{.spec = spec,
                .rows = rows,
                .x = gates.node->value.row(0),
                .w = all_numbers(w.plain),
                .b = b.plain.vector(),
                .from_state = {},
                .h = {},
                .c = {}};
      walk.forwards();
      walk.backwards(node->gradient.data(), to);
    }
  };
  return y;
}

TapeOps::Act TapeOps::pool_rows(const Act& x, const Batch& batch, RowPool kind) {
  Act y = record(native_.pool_rows(x.node->value, batch, kind), {&x});
  y.node->backward = [x, kind, begins = std::vector<int32_t>(batch.seq_begin.begin(), batch.seq_begin.end()),
                      node = y.node.get()] {
    float* to = gradient_of(x);
    const int64_t n = x.columns();
    for (size_t s = 0; s + 1 < begins.size(); ++s)
      for (int64_t c = 0; c < n; ++c) {
        const float dy = node->gradient[s * static_cast<size_t>(n) + static_cast<size_t>(c)];
        const int64_t begin = begins[s], end = begins[s + 1];
        int64_t best = kind == RowPool::kLast ? end - 1 : begin;
        for (int64_t r = begin; r < end; ++r) {
          if (kind == RowPool::kMean) to[r * n + c] += dy / static_cast<float>(end - begin);
          if (kind == RowPool::kMax && x.node->value.row(r)[c] > x.node->value.row(best)[c]) best = r;
        }
        if (kind != RowPool::kMean) to[best * n + c] += dy;
      }
  };
  return y;
}

}  // namespace volant
