// Digests: SHA-256 for names of artifacts and stage keys, XXH3 for fast hashing in memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace volant {

// Lower-case hex of `size` bytes.
std::string to_hex(const void* data, size_t size);
// SHA-256 of `bytes` as 64 hex digits.
std::string sha256_hex(std::string_view bytes);
// XXH3, 64 bits; stable across machines, not for untrusted keys that must not collide.
uint64_t hash64(std::string_view bytes, uint64_t seed = 0);

// SHA-256 over pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  // 64 hex digits; call once, last.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace volant
