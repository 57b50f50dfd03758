#include "base/random.h"

#include <openssl/rand.h>

#include <bit>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/check.h"
#include "base/digest.h"

namespace volant {

Random::Random(uint64_t seed) : state_{} {
  for (auto& word : state_) {  // splitmix64, so that close seeds give unrelated streams
    seed += 0x9e3779b97f4a7c15U;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    word = z ^ (z >> 31);
  }
}

uint64_t Random::next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::below(uint64_t n) {
  CHECK(n > 0);
  return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double Random::normal() {
  const double u = 1.0 - uniform();  // in (0, 1]
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform());
}

std::string secure_random_hex(int bytes) {
  std::vector<unsigned char> buffer(static_cast<size_t>(bytes));
  CHECK(RAND_bytes(buffer.data(), bytes) == 1);
  return to_hex(buffer.data(), buffer.size());
}

}  // namespace volant
