// What the tests of kernels share: each table of this processor, rows of numbers with guards.
#pragma once
#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "kernels/kernels.h"

namespace volant::testing {

inline constexpr float kGuard = 12345.5F;

// `n` floats with guards on both sides, starting at an odd multiple of 4 bytes.
class Guarded {
 public:
  explicit Guarded(int64_t n) : n_(n), numbers_(static_cast<size_t>(n) + 34, kGuard) {}
  float* data() { return numbers_.data() + 17; }
  bool intact() const {
    for (size_t i = 0; i < 17; ++i) {
      if (numbers_[i] != kGuard || numbers_[static_cast<size_t>(n_) + 17 + i] != kGuard) return false;
    }
    return true;
  }

 private:
  int64_t n_;
  std::vector<float> numbers_;
};

inline std::vector<float> random_floats(Random& random, int64_t n, double scale = 1) {
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(random.normal() * scale);
  return x;
}

class EachTable : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& k() const { return *GetParam(); }
  Random random_{7};
};

}  // namespace volant::testing
