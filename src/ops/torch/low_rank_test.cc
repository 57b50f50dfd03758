// The best approximation of a given rank, against matrices whose singular values are known.
#include "ops/torch/low_rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

namespace volant::torch_ops {
namespace {

// E = sum over k of value[k] u_k v_k^T, with columns of cosines as orthogonal u and v.
std::vector<float> with_singular_values(const std::vector<double>& values, int64_t n_out, int64_t n_in) {
  const auto unit = [](int64_t n, size_t k, int64_t i) {  // the k-th vector of the discrete cosine transform
    const double x =
        std::cos(M_PI * static_cast<double>(k) * (static_cast<double>(i) + 0.5) / static_cast<double>(n));
    return x * std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n));
  };
  std::vector<float> e;
  for (int64_t o = 0; o < n_out; ++o)
    for (int64_t i = 0; i < n_in; ++i) {
      double sum = 0;
      for (size_t k = 0; k < values.size(); ++k) sum += values[k] * unit(n_out, k, o) * unit(n_in, k, i);
      e.push_back(static_cast<float>(sum));
    }
  return e;
}

TEST(LowRank, WhatIsLeftIsTheRestOfTheSingularValues) {
  for (const auto& [n_out, n_in] : {std::pair<int64_t, int64_t>(9, 14), {14, 9}, {8, 8}}) {
    const std::vector<double> values = {5, 3, 2, 0.5};
    const std::vector<float> e = with_singular_values(values, n_out, n_in);
    for (const int64_t r : {1, 2, 3, 6}) {
      const LowRank found = nearest_of_rank(e, n_out, n_in, r);
      ASSERT_EQ(found.a_rI.size(), static_cast<size_t>(r * n_in));
      ASSERT_EQ(found.b_Or.size(), static_cast<size_t>(n_out * r));
      double left = 0, expected = 0, a_squares = 0, b_squares = 0;
      for (int64_t o = 0; o < n_out; ++o)
        for (int64_t i = 0; i < n_in; ++i) {
          double product = 0;
          for (int64_t k = 0; k < r; ++k)
            product += static_cast<double>(found.b_Or[static_cast<size_t>(o * r + k)]) *
                       static_cast<double>(found.a_rI[static_cast<size_t>(k * n_in + i)]);
          left += std::pow(static_cast<double>(e[static_cast<size_t>(o * n_in + i)]) - product, 2);
        }
      for (auto k = static_cast<size_t>(r); k < values.size(); ++k) expected += values[k] * values[k];
      EXPECT_NEAR(left, expected, 1e-4) << n_out << " x " << n_in << ", rank " << r;
      for (const float x : found.a_rI) a_squares += static_cast<double>(x * x);
      for (const float x : found.b_Or) b_squares += static_cast<double>(x * x);
      EXPECT_NEAR(a_squares, b_squares, 1e-3);
    }
  }
}

TEST(LowRank, NothingIsApproximatedByNothing) {
  const LowRank found = nearest_of_rank(std::vector<float>(12), 3, 4, 2);
  for (const float x : found.a_rI) EXPECT_EQ(x, 0);
  for (const float x : found.b_Or) EXPECT_EQ(x, 0);
}

}  // namespace
}  // namespace volant::torch_ops
