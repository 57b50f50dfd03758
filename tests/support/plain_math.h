// Layers in plain loops and double precision: what references in tests are put together from.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace volant::testing {

using Rows = std::vector<std::vector<double>>;  // one vector a row

inline Rows plain_linear(const Rows& x, const std::vector<float>& w) {
  Rows y;
  for (const auto& row : x) {
    std::vector<double> out(w.size() / row.size());
    for (size_t o = 0; o < out.size(); ++o)
      for (size_t i = 0; i < row.size(); ++i) out[o] += static_cast<double>(w[o * row.size() + i]) * row[i];
    y.push_back(std::move(out));
  }
  return y;
}

inline Rows plain_embed(const std::vector<float>& w, size_t columns, const std::vector<int32_t>& ids) {
  Rows y;
  for (const int32_t id : ids) {
    const auto begin = w.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(id) * columns);
    y.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(columns));
  }
  return y;
}

inline Rows plain_rms_norm(Rows x, const std::vector<float>& w, double eps) {
  for (auto& row : x) {
    double squares = 0;
    for (const double v : row) squares += v * v;
    const double factor = 1 / std::sqrt(squares / static_cast<double>(row.size()) + eps);
    for (size_t i = 0; i < row.size(); ++i) row[i] *= factor * static_cast<double>(w[i]);
  }
  return x;
}

inline Rows plain_add(Rows x, const Rows& y) {
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t i = 0; i < x[t].size(); ++i) x[t][i] += y[t][i];
  return x;
}

inline Rows plain_map(Rows x, const std::function<double(double)>& f) {
  for (auto& row : x)
    for (double& v : row) v = f(v);
  return x;
}

inline Rows plain_mul(Rows x, const Rows& y) {
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t i = 0; i < x[t].size(); ++i) x[t][i] *= y[t][i];
  return x;
}

inline double plain_silu(double x) { return x / (1 + std::exp(-x)); }
inline double plain_gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

// Heads side by side in q [T, H*d], k and v [U, K*d]. `bias(h, t, u)` is added to a score; a score of -inf is
// not seen.
inline Rows plain_attention(const Rows& q, const Rows& k, const Rows& v, size_t n_head, size_t n_kv_head,
                            double scale, const std::function<double(size_t, size_t, size_t)>& bias) {
  const size_t d = q[0].size() / n_head;
  Rows out(q.size(), std::vector<double>(q[0].size()));
  for (size_t t = 0; t < q.size(); ++t) {
    for (size_t h = 0; h < n_head; ++h) {
      const size_t kv = h / (n_head / n_kv_head) * d;
      std::vector<double> weight(k.size());
      double total = 0;
      for (size_t u = 0; u < k.size(); ++u) {
        double dot = 0;
        for (size_t i = 0; i < d; ++i) dot += q[t][h * d + i] * k[u][kv + i];
        weight[u] = std::exp(dot * scale + bias(h, t, u));
        total += weight[u];
      }
      for (size_t u = 0; u < k.size(); ++u)
        for (size_t i = 0; i < d; ++i) out[t][h * d + i] += weight[u] / total * v[u][kv + i];
    }
  }
  return out;
}

// Dimension i of a head pairs with i + d/2 and turns by position * theta^(-2i/d).
inline Rows plain_rope(Rows x, size_t n_head, double theta) {
  const size_t d = x[0].size() / n_head, half = d / 2;
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t h = 0; h < n_head; ++h)
      for (size_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
        double &low = x[t][h * d + i], &high = x[t][h * d + half + i];
        const double a = low, b = high;
        low = a * std::cos(angle) - b * std::sin(angle);
        high = b * std::cos(angle) + a * std::sin(angle);
      }
  return x;
}

}  // namespace volant::testing
