// Random: a small fast generator (xoshiro256**, Blackman and Vigna 2018) whose numbers are
// the same on every machine for the same seed, unlike std::uniform_*_distribution.
#pragma once
#include <array>
#include <cstdint>
#include <string>

namespace volant {

class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t next();
  // Uniform in [0, n); n > 0.
  uint64_t below(uint64_t n);
  // Uniform in [0, 1).
  double uniform();
  // Normal with mean 0 and standard deviation 1.
  double normal();

 private:
  std::array<uint64_t, 4> state_;
};

// `bytes` random bytes from the operating system as lower-case hex: for ids and keys.
std::string secure_random_hex(int bytes);

}  // namespace volant
