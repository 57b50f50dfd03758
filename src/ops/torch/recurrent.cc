// Recurrent layers with their backward pass through time, in f32. Rows stand step by step: first the first
// rows of all sequences, the longest sequence first, then the second ones; so the sequences that go on are
// always the first of a block.
// T rows, S sequences, H units, G gates of each unit.
#include "ops/torch/rows.h"
// Above it: rows.h keeps a macro of libtorch's headers away.
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "ops/torch/autograd.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::converted;
using torch_ops::is_bf16;
using torch_ops::kernels;
using torch_ops::learns;
using torch_ops::with_backward;
using Gradients = std::vector<Tensor>;

Tensor empty(int64_t rows, int64_t columns) { return torch_ops::empty(rows, columns, false); }

// Rows of f32 from row `first` on.
float* from_row(const Tensor& x, int64_t first) { return x.data_ptr<float>() + first * x.size(1); }

// Where the rows of a batch stand step by step.
struct Steps {
  std::vector<int32_t> rows;   // [T] of the batch
  std::vector<int64_t> begin;  // [steps + 1]
  int64_t n() const { return static_cast<int64_t>(begin.size()) - 1; }
  int64_t count(int64_t step) const {
    return step >= n() ? 0 : begin[static_cast<size_t>(step) + 1] - begin[static_cast<size_t>(step)];
  }
  int64_t first(int64_t step) const { return begin[static_cast<size_t>(step)]; }
};

Steps steps_of(const Batch& batch, bool backwards) {
  struct Sequence {
    int32_t begin, length;
  };
  std::vector<Sequence> sequences;
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s)
    sequences.push_back({batch.seq_begin[s], batch.seq_begin[s + 1] - batch.seq_begin[s]});
  std::ranges::stable_sort(sequences, std::ranges::greater(), &Sequence::length);
  Steps steps;
  steps.begin.push_back(0);
  const int32_t longest = sequences.empty() ? 0 : sequences[0].length;
  for (int32_t step = 0; step < longest; ++step) {
    for (const Sequence& s : sequences) {
      if (s.length <= step) break;
      steps.rows.push_back(s.begin + (backwards ? s.length - 1 - step : step));
    }
    steps.begin.push_back(static_cast<int64_t>(steps.rows.size()));
  }
  return steps;
}

Tensor gathered(const Tensor& x, const std::vector<int32_t>& rows) {
  Tensor y = empty(static_cast<int64_t>(rows.size()), x.size(1));
  kernels().take_rows(torch_ops::in(x), rows.data(), y.size(0), y.size(1), torch_ops::out(y));
  return y;
}
Tensor scattered(const Tensor& x, const std::vector<int32_t>& rows) {
  Tensor y = empty(x.size(0), x.size(1));
  const int64_t columns = x.size(1);
#pragma omp parallel for
  for (int64_t p = 0; p < x.size(0); ++p)
    std::copy_n(from_row(x, p), columns, from_row(y, rows[static_cast<size_t>(p)]));
  return y;
}

void tanh_of(float* x, int64_t n) { kernels().softcap({x, false}, 1, n, {x, false}); }
float sigmoid_from(float tanh_of_half) { return 0.5F * tanh_of_half + 0.5F; }

// All that a recurrence keeps for its backward pass, step by step.
struct Course {
  RecurrentSpec spec;
  Steps steps;
  Tensor gates;      // [T, G * H] after their tanh or sigmoid
  Tensor h;          // [T, H]
  Tensor c, c_tanh;  // of an LSTM [T, H]
  Tensor h_n;        // of a GRU: what the reset gate multiplies [T, H]

  int64_t units() const { return spec.units; }
  // h or c of the rows before those of `step`, which is not the first.
  const float* before(const Tensor& x, int64_t step) const { return from_row(x, steps.first(step - 1)); }
};

// Gates of `rows` rows: x becomes their tanh or sigmoid, with s(z) = tanh(z / 2) / 2 + 1 / 2.
void lstm_gates(float* x, const float* from_h, int64_t rows, int64_t n) {
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t g = 0; g < 4; ++g) {
      float* at = x + (r * 4 + g) * n;
      const float* part = from_h + (r * 4 + g) * n;
      const float half = g == 2 ? 1.0F : 0.5F;
      for (int64_t k = 0; k < n; ++k) at[k] = half * (at[k] + part[k]);
    }
  tanh_of(x, rows * 4 * n);
}

void lstm_step(Course& course, int64_t step, const float* from_h) {
  const int64_t n = course.units(), rows = course.steps.count(step), first = course.steps.first(step);
  float* gates = from_row(course.gates, first);
  lstm_gates(gates, from_h, rows, n);
  float *c = from_row(course.c, first), *c_tanh = from_row(course.c_tanh, first),
        *h = from_row(course.h, first);
  const float* before = step == 0 ? nullptr : course.before(course.c, step);
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r) {
    float *i = gates + r * 4 * n, *f = i + n, *g = f + n, *o = g + n;
    for (int64_t k = 0; k < n; ++k) {
      i[k] = sigmoid_from(i[k]);
      f[k] = sigmoid_from(f[k]);
      o[k] = sigmoid_from(o[k]);
      c_tanh[r * n + k] = c[r * n + k] = i[k] * g[k] + (before == nullptr ? 0.0F : f[k] * before[r * n + k]);
    }
  }
  tanh_of(c_tanh, rows * n);
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < n; ++k) h[r * n + k] = gates[(r * 4 + 3) * n + k] * c_tanh[r * n + k];
}

void gru_step(Course& course, int64_t step, const float* from_h) {
  const int64_t n = course.units(), rows = course.steps.count(step), first = course.steps.first(step);
  float *gates = from_row(course.gates, first), *h = from_row(course.h, first),
        *h_n = from_row(course.h_n, first);
  const float* before = step == 0 ? nullptr : course.before(course.h, step);
  Tensor work = empty(rows, 2 * n);
  float* rz = work.data_ptr<float>();
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < 2 * n; ++k)
      rz[r * 2 * n + k] = 0.5F * (gates[r * 3 * n + k] + from_h[r * 3 * n + k]);
  tanh_of(rz, rows * 2 * n);
  Tensor candidate_rows = empty(rows, n);
  float* candidate = candidate_rows.data_ptr<float>();
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r) {
    float* gate = gates + r * 3 * n;
    for (int64_t k = 0; k < 2 * n; ++k) gate[k] = sigmoid_from(rz[r * 2 * n + k]);
    for (int64_t k = 0; k < n; ++k) {
      h_n[r * n + k] = from_h[r * 3 * n + 2 * n + k];
      candidate[r * n + k] = gate[2 * n + k] + gate[k] * h_n[r * n + k];
    }
  }
  tanh_of(candidate, rows * n);
#pragma omp parallel for
  for (int64_t r = 0; r < rows; ++r) {
    const float* z = gates + (r * 3 + 1) * n;
    for (int64_t k = 0; k < n; ++k) {
      const float now = candidate[r * n + k], old = before == nullptr ? 0.0F : before[r * n + k];
      gates[(r * 3 + 2) * n + k] = now;
      h[r * n + k] = now + z[k] * (old - now);
    }
  }
}

// h' = h w^T + b of the rows before those of `step`.
Tensor from_hidden(const Course& course, int64_t step, TorchParameter& w, const TorchParameter& b) {
  const int64_t rows = course.steps.count(step);
  Tensor part = at::zeros({rows, w.shape[0]}, at::kFloat);
  if (step > 0) w.packed->forward({course.before(course.h, step), false}, rows, torch_ops::out(part));
  kernels().add_bias(torch_ops::in(part), b.values(), rows, w.shape[0], torch_ops::out(part));
  return part;
}

// The gradients of a recurrence, step by step from the last one.
class BackwardThroughTime {
 public:
  BackwardThroughTime(const Course& course, const Tensor& grad_h)
      : course_(course),
        grad_h_(gathered(grad_h, course.steps.rows)),
        grad_x(empty(course.gates.size(0), course.gates.size(1))),
        grad_part(is_lstm() ? grad_x : empty(course.gates.size(0), course.gates.size(1))),
        later_h_(at::zeros({course.steps.count(0), course.units()}, at::kFloat)),
        later_c_(at::zeros({course.steps.count(0), course.units()}, at::kFloat)) {}

  void run(TorchParameter& w) {
    for (int64_t step = course_.steps.n() - 1; step >= 0; --step) {
      is_lstm() ? lstm(step) : gru(step);
      const float* part = from_row(grad_part, course_.steps.first(step));
      if (step > 0)
        w.packed->backward({part, false}, course_.steps.count(step), torch_ops::out(later_h_),
                           /*add=*/!is_lstm());
    }
  }

 private:
  bool is_lstm() const { return course_.spec.kind == RecurrentSpec::Kind::kLstm; }

  void lstm(int64_t step) {
    const int64_t n = course_.units(), rows = course_.steps.count(step), first = course_.steps.first(step);
    const float* before = step == 0 ? nullptr : course_.before(course_.c, step);
#pragma omp parallel for
    for (int64_t r = 0; r < rows; ++r) {
      const float *i = from_row(course_.gates, first + r), *f = i + n, *g = f + n, *o = g + n;
      const float *by_h = from_row(grad_h_, first + r), *c_tanh = from_row(course_.c_tanh, first + r);
      float *by_i = from_row(grad_x, first + r), *by_f = by_i + n, *by_g = by_f + n, *by_o = by_g + n;
      const float* later_h = from_row(later_h_, r);
      float* later_c = from_row(later_c_, r);
      for (int64_t k = 0; k < n; ++k) {
        const float dh = by_h[k] + later_h[k];
        const float dc = dh * o[k] * (1 - c_tanh[k] * c_tanh[k]) + later_c[k];
        by_o[k] = dh * c_tanh[k] * o[k] * (1 - o[k]);
        by_i[k] = dc * g[k] * i[k] * (1 - i[k]);
        by_g[k] = dc * i[k] * (1 - g[k] * g[k]);
        by_f[k] = before == nullptr ? 0.0F : dc * before[r * n + k] * f[k] * (1 - f[k]);
        later_c[k] = dc * f[k];
      }
    }
  }

  void gru(int64_t step) {
    const int64_t n = course_.units(), rows = course_.steps.count(step), first = course_.steps.first(step);
    const float* before = step == 0 ? nullptr : course_.before(course_.h, step);
#pragma omp parallel for
    for (int64_t r = 0; r < rows; ++r) {
      const float *reset = from_row(course_.gates, first + r), *z = reset + n, *now = z + n;
      const float *by_h = from_row(grad_h_, first + r), *h_n = from_row(course_.h_n, first + r);
      float *by_x = from_row(grad_x, first + r), *by_part = from_row(grad_part, first + r);
      float* later_h = from_row(later_h_, r);
      for (int64_t k = 0; k < n; ++k) {
        const float dh = by_h[k] + later_h[k], old = before == nullptr ? 0.0F : before[r * n + k];
        const float by_now = dh * (1 - z[k]) * (1 - now[k] * now[k]);
        by_x[k] = by_part[k] = by_now * h_n[k] * reset[k] * (1 - reset[k]);
        by_x[n + k] = by_part[n + k] = dh * (old - now[k]) * z[k] * (1 - z[k]);
        by_x[2 * n + k] = by_now;
        by_part[2 * n + k] = by_now * reset[k];
        later_h[k] = dh * z[k];
      }
    }
  }

  const Course& course_;
  Tensor grad_h_;

 public:
  Tensor grad_x;     // [T, G * H] by the gates' part from the input
  Tensor grad_part;  // by their part from h

 private:
  Tensor later_h_, later_c_;  // [S, H] from the steps after
};

// Adds the gradients of w and b.
void add_weight_gradients(const Course& course, const Tensor& grad_part, TorchParameter& w,
                          TorchParameter& b) {
  const int64_t all = grad_part.size(0), n_gates = grad_part.size(1), n = course.units();
  if (b.trained()) kernels().add_rows(torch_ops::in(grad_part), all, n_gates, b.gradient());
  const int64_t first = course.steps.count(0), rows = all - first;  // the first step has nothing before it
  if (!w.trained() || rows == 0) return;
  Tensor before = empty(rows, n);
  for (int64_t step = 1; step < course.steps.n(); ++step)
    std::copy_n(course.before(course.h, step), course.steps.count(step) * n,
                from_row(before, course.steps.first(step) - first));
  torch_ops::add_weight_gradient({from_row(grad_part, first), false}, torch_ops::in(before), rows, n_gates, n,
                                 w.gradient());
}

}  // namespace

TorchOps::Act TorchOps::recurrent(const Act& gates, const Weight& w, const Weight& b, const Batch& batch,
                                  const RecurrentSpec& spec) {
  const int64_t n = spec.units, rows = gates.x().size(0);
  CHECK(gates.x().size(1) == spec.n_gates() * n);
  const bool lstm = spec.kind == RecurrentSpec::Kind::kLstm;
  auto course = std::make_shared<Course>(Course{.spec = spec,
                                                .steps = steps_of(batch, spec.backwards),
                                                .gates = {},
                                                .h = empty(rows, n),
                                                .c = {},
                                                .c_tanh = {},
                                                .h_n = {}});
  course->gates = gathered(converted(gates.x().detach(), false), course->steps.rows);
  (lstm ? course->c : course->h_n) = empty(rows, n);
  if (lstm) course->c_tanh = empty(rows, n);
  for (int64_t step = 0; step < course->steps.n(); ++step) {
    const Tensor part = from_hidden(*course, step, *w, *b);
    lstm ? lstm_step(*course, step, part.data_ptr<float>()) : gru_step(*course, step, part.data_ptr<float>());
  }
  const Tensor y = scattered(course->h, course->steps.rows);
  if (!record_ || !(w->trained() || b->trained() || learns({gates.x()}))) return {y};
  return {with_backward(y, {gates.x()}, [course, w, b, bf16 = is_bf16(gates.x())](const Tensor& grad) {
    BackwardThroughTime back(*course, converted(grad, false));
    back.run(*w);
    add_weight_gradients(*course, back.grad_part, *w, *b);
    return Gradients{converted(scattered(back.grad_x, course->steps.rows), bf16)};
  })};
}

}  // namespace volant
