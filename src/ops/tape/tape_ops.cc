#include "ops/tape/tape_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "ops/tape/turned.h"

namespace volant {

TapeOps::Act TapeOps::record(NativeAct value, std::initializer_list<const Act*> from) {
  auto node = std::make_shared<Node>();
  node->value = std::move(value);
  for (const Act* each : from) node->depends = node->depends || each->node->depends;
  nodes_.push_back(node);
  return {std::move(node)};
}

float* TapeOps::gradient_of(const Act& of) {
  Node& node = *of.node;
  if (!node.depends) return nullptr;
  if (node.gradient.empty()) node.gradient.resize(node.value.numbers().size());
  return node.gradient.data();
}

void TapeOps::go_back(const Act& output, std::span<const float> gradient) {
  CHECK(gradient.size() == output.node->value.numbers().size());
  float* to = gradient_of(output);
  if (to == nullptr) return;
  std::ranges::copy(gradient, to);
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node)
    if ((*node)->backward && !(*node)->gradient.empty()) (*node)->backward();
}

std::span<const float> TapeOps::input_gradient() const {
  return input_.node ? std::span<const float>(input_.node->gradient) : std::span<const float>();
}
std::span<const float> TapeOps::input() const { return input_.node->value.numbers(); }

TapeOps::Act TapeOps::starts_from(NativeAct value) {
  const std::span<float> numbers(value.row(0), static_cast<size_t>(value.rows() * value.columns()));
  shift_fits_ = start_.shift.empty() || start_.shift.size() == numbers.size();
  if (shift_fits_)
    for (size_t i = 0; i < start_.shift.size(); ++i) numbers[i] += start_.shift[i];
  input_ = record(std::move(value), {});
  input_.node->depends = true;
  return input_;
}

TapeOps::Act TapeOps::features(const Batch& batch) { return starts_from(native_.features(batch)); }

TapeOps::Act TapeOps::embed(const Weight& w, std::span<const int32_t> ids) {
  if (ids.data() != words_ || input_.node) return record(native_.embed(w.plain, ids), {});
  return starts_from(native_.scale(native_.embed(w.plain, ids), start_.embedding_scale));
}

TapeOps::Act TapeOps::linear(const Act& x, const Weight& w) {
  Act y = record(native_.linear(x.node->value, w.plain), {&x});
  y.node->backward = [this, x, node = y.node.get(), &w] {
    const NativeAct dx = turned_product(native_, node->gradient, w.plain.n_out(), w);
    float* to = gradient_of(x);
    const std::span<const float> numbers = dx.numbers();
    for (size_t i = 0; i < numbers.size(); ++i) to[i] += numbers[i];
  };
  return y;
}

TapeOps::Act TapeOps::add_bias(const Act& x, const Weight& b) {
  return each(native_.add_bias(x.node->value, b.plain), x, [](float) { return 1.0F; });
}

template <class F>
TapeOps::Act TapeOps::each(NativeAct value, const Act& x, F derivative) {
  Act y = record(std::move(value), {&x});
  y.node->backward = [x, node = y.node.get(), derivative] {
    float* to = gradient_of(x);
    const std::span<const float> from = x.node->value.numbers();
    for (size_t i = 0; i < from.size(); ++i) to[i] += node->gradient[i] * derivative(from[i]);
  };
  return y;
}

TapeOps::Act TapeOps::relu(const Act& x) {
  return each(native_.relu(x.node->value), x, [](float v) { return v > 0 ? 1.0F : 0.0F; });
}
TapeOps::Act TapeOps::scale(const Act& x, float factor) {
  return each(native_.scale(x.node->value, factor), x, [factor](float) { return factor; });
}
TapeOps::Act TapeOps::softcap(const Act& x, float cap) {
  return each(native_.softcap(x.node->value, cap), x, [cap](float v) {
    const float t = std::tanh(v / cap);
    return 1 - t * t;
  });
}

namespace {

float gelu_derivative(float v, Gelu kind) {
  const auto x = static_cast<double>(v);
  if (kind == Gelu::kErf) {
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi);
    return static_cast<float>(0.5 * (1 + std::erf(x / std::numbers::sqrt2)) + x * density);
  }
  const double a = std::sqrt(2 / std::numbers::pi), b = 0.044715;
  const double t = std::tanh(a * (x + b * x * x * x));
  return static_cast<float>(0.5 * (1 + t) + 0.5 * x * (1 - t * t) * a * (1 + 3 * b * x * x));
}

float gelu_value(float v, Gelu kind) {
  const auto x = static_cast<double>(v);
  if (kind == Gelu::kErf) return static_cast<float>(0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)));
  const double a = std::sqrt(2 / std::numbers::pi);
  return static_cast<float>(0.5 * x * (1 + std::tanh(a * (x + 0.044715 * x * x * x))));
}

float silu_derivative(float x) {
  const float s = 1 / (1 + std::exp(-x));
  return s * (1 + x * (1 - s));
}

}  // namespace

TapeOps::Act TapeOps::gelu(const Act& x, Gelu kind) {
  return each(native_.gelu(x.node->value, kind), x, [kind](float v) { return gelu_derivative(v, kind); });
}

TapeOps::Act TapeOps::gelu_mul(const Act& gate, const Act& up, Gelu kind) {
  Act y = record(native_.gelu_mul(gate.node->value, up.node->value, kind), {&gate, &up});
  y.node->backward = [gate, up, kind, node = y.node.get()] {
    float *to_gate = gradient_of(gate), *to_up = gradient_of(up);
    const auto g = gate.node->value.numbers(), u = up.node->value.numbers();
    for (size_t i = 0; i < g.size(); ++i) {
      if (to_gate != nullptr) to_gate[i] += node->gradient[i] * u[i] * gelu_derivative(g[i], kind);
      if (to_up != nullptr) to_up[i] += node->gradient[i] * gelu_value(g[i], kind);
    }
  };
  return y;
}

TapeOps::Act TapeOps::silu_mul(const Act& gate, const Act& up) {
  Act y = record(native_.silu_mul(gate.node->value, up.node->value), {&gate, &up});
  y.node->backward = [gate, up, node = y.node.get()] {
    float *to_gate = gradient_of(gate), *to_up = gradient_of(up);
    const auto g = gate.node->value.numbers(), u = up.node->value.numbers();
    for (size_t i = 0; i < g.size(); ++i) {
      if (to_gate != nullptr) to_gate[i] += node->gradient[i] * u[i] * silu_derivative(g[i]);
      if (to_up != nullptr) to_up[i] += node->gradient[i] * g[i] / (1 + std::exp(-g[i]));
    }
  };
  return y;
}

TapeOps::Act TapeOps::add(const Act& x, const Act& y) {
  Act sum = record(native_.add(x.node->value, y.node->value), {&x, &y});
  sum.node->backward = [x, y, node = sum.node.get()] {
    for (const Act* part : {&x, &y})
      if (float* to = gradient_of(*part))
        for (size_t i = 0; i < node->gradient.size(); ++i) to[i] += node->gradient[i];
  };
  return sum;
}

TapeOps::Act TapeOps::take_rows(const Act& x, std::span<const int32_t> rows) {
  Act y = record(native_.take_rows(x.node->value, rows), {&x});
  y.node->backward = [x, node = y.node.get(), ids = std::vector<int32_t>(rows.begin(), rows.end())] {
    float* to = gradient_of(x);
    const int64_t columns = x.columns();
    for (size_t i = 0; i < ids.size(); ++i)
      for (int64_t c = 0; c < columns; ++c)
        to[ids[i] * columns + c] += node->gradient[i * static_cast<size_t>(columns) + static_cast<size_t>(c)];
  };
  return y;
}

TapeOps::Act TapeOps::take_columns(const Act& x, int64_t begin, int64_t count) {
  Act y = record(native_.take_columns(x.node->value, begin, count), {&x});
  y.node->backward = [x, begin, count, node = y.node.get()] {
    float* to = gradient_of(x);
    for (int64_t r = 0; r < x.rows(); ++r)
      for (int64_t c = 0; c < count; ++c)
        to[r * x.columns() + begin + c] += node->gradient[static_cast<size_t>(r * count + c)];
  };
  return y;
}

TapeOps::Act TapeOps::join_columns(const Act& x, const Act& y) {
  Act both = record(native_.join_columns(x.node->value, y.node->value), {&x, &y});
  both.node->backward = [x, y, node = both.node.get()] {
    int64_t first = 0;
    const int64_t width = x.columns() + y.columns();
    for (const Act* part : {&x, &y}) {
      if (float* to = gradient_of(*part))
        for (int64_t r = 0; r < part->rows(); ++r)
          for (int64_t c = 0; c < part->columns(); ++c)
            to[r * part->columns() + c] += node->gradient[static_cast<size_t>(r * width + first + c)];
      first += part->columns();
    }
  };
  return both;
}

// y = (x - mean) * s * w + b with s = 1 / sqrt(variance + eps), row by row:
// dx = s * (g - mean(g) - n * mean(g * n)), g = dy * w, n = (x - mean) * s.
TapeOps::Act TapeOps::layer_norm(const Act& x, const Weight& w, const Weight* b, float eps) {
  Act y = record(native_.layer_norm(x.node->value, w.plain, b == nullptr ? nullptr : &b->plain, eps), {&x});
  y.node->backward = [x, &w, eps, node = y.node.get()] {
    float* to = gradient_of(x);
    const int64_t n = x.columns();
    for (int64_t r = 0; r < x.rows(); ++r) {
      const float *from = x.node->value.row(r), *dy = node->gradient.data() + r * n;
      double mean = 0, squares = 0, sum_g = 0, sum_gn = 0;
      for (int64_t c = 0; c < n; ++c) mean += from[c];
      mean /= static_cast<double>(n);
      for (int64_t c = 0; c < n; ++c) squares += (from[c] - mean) * (from[c] - mean);
      const double s = 1 / std::sqrt(squares / static_cast<double>(n) + eps);
      const auto g = [&](int64_t c) { return static_cast<double>(dy[c]) * w.plain.vector()[c]; };
      for (int64_t c = 0; c < n; ++c) {
        sum_g += g(c);
        sum_gn += g(c) * (from[c] - mean) * s;
      }
      for (int64_t c = 0; c < n; ++c)
        to[r * n + c] += static_cast<float>(s * (g(c) - sum_g / static_cast<double>(n) -
                                                 (from[c] - mean) * s * sum_gn / static_cast<double>(n)));
    }
  };
  return y;
}

// The same without a mean, vector by vector: dx = s * (g - n * mean(g * n)).
TapeOps::Act TapeOps::rms_norm(const Act& x, const Weight& w, float eps, float offset) {
  Act y = record(native_.rms_norm(x.node->value, w.plain, eps, offset), {&x});
  y.node->backward = [x, &w, eps, offset, node = y.node.get()] {
    float* to = gradient_of(x);
    const int64_t n = w.plain.n_out();  // of a head, where it is shorter than a row
    const auto all = static_cast<int64_t>(x.node->value.numbers().size());
    for (int64_t first = 0; first < all; first += n) {
      const float *from = x.node->value.numbers().data() + first, *dy = node->gradient.data() + first;
      double squares = 0, sum = 0;
      for (int64_t c = 0; c < n; ++c) squares += static_cast<double>(from[c]) * from[c];
      const double s = 1 / std::sqrt(squares / static_cast<double>(n) + eps);
      const auto g = [&](int64_t c) { return static_cast<double>(dy[c]) * (w.plain.vector()[c] + offset); };
      for (int64_t c = 0; c < n; ++c) sum += g(c) * from[c] * s;
      for (int64_t c = 0; c < n; ++c)
        to[first + c] += static_cast<float>(s * (g(c) - from[c] * s * sum / static_cast<double>(n)));
    }
  };
  return y;
}

// A turn backwards is a turn by the negative angle.
TapeOps::Act TapeOps::rope(const Act& x, const Batch& batch, const RopeSpec& spec) {
  Act y = record(native_.rope(x.node->value, batch, spec), {&x});
  y.node->backward = [x, spec, pos = std::vector<int32_t>(batch.pos.begin(), batch.pos.end()),
                      node = y.node.get()] {
    float* to = gradient_of(x);
    const auto half = static_cast<int64_t>(spec.inv_freq.size()), d = static_cast<int64_t>(spec.head_dim);
    for (int64_t r = 0; r < x.rows(); ++r)
      for (int64_t h = 0; h < spec.n_head; ++h) {
        const int64_t at = r * x.columns() + h * d;
        const float* dy = node->gradient.data() + at;
        for (int64_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(pos[static_cast<size_t>(r)]) *
                               static_cast<double>(spec.inv_freq[static_cast<size_t>(i)]);
          const double c = std::cos(angle) * spec.scale, s = std::sin(angle) * spec.scale;
          to[at + i] += static_cast<float>(c * dy[i] + s * dy[i + half]);
          to[at + i + half] += static_cast<float>(c * dy[i + half] - s * dy[i]);
        }
        for (int64_t i = 2 * half; i < d; ++i) to[at + i] += dy[i];
      }
  };
  return y;
}

TapeOps::Act TapeOps::relative_attention(const Act&, const Act&, const Act&, const Batch&,
                                         const AttentionSpec&, const RelativeBias<Weight>&) {
  check_failed("no gradient of attention by distance", __FILE__, __LINE__);
}
TapeOps::Act TapeOps::cross_attention(const Act&, const Act&, const Act&, const Batch&,
                                      const AttentionSpec&) {
  check_failed("no gradient of attention to a source", __FILE__, __LINE__);
}
TapeOps::Routing TapeOps::route(const Act&, const RouteSpec&) {
  check_failed("no gradient of experts", __FILE__, __LINE__);
}
TapeOps::Act TapeOps::combine(std::span<const Act>, const Routing&) {
  check_failed("no gradient of experts", __FILE__, __LINE__);
}

static_assert(Ops<TapeOps>);

}  // namespace volant
