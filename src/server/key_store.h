// API keys: made here, shown once, kept as SHA-256 in a file that only its owner can read. A key is 256
// random bits, so a fast hash is right: there is nothing to guess faster, unlike with passwords. Thread safe.
#pragma once
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"

namespace volant {

struct ApiKey {
  std::string name;   // unique, chosen by the owner
  std::string scope;  // "all", or "models": completions and feedback, nothing that changes the workspace
  std::string created_at;
  std::string hint;  // the first characters, to tell keys apart: "vk-1a2b"
  std::string hash;  // SHA-256 of the key, 64 hex digits
};

class KeyStore {
 public:
  // A missing file holds no keys. kParse when it is damaged: then nobody gets in.
  static Result<std::vector<ApiKey>> read(const Path& file);
  // Makes a key and gives it: the only time it is seen. kAlreadyExists for a name in use.
  static Result<std::string> add(const Path& file, const std::string& name, const std::string& scope = "all");
  // kNotFound when there is no such name.
  static Status remove(const Path& file, const std::string& name);

  // Follows `file`: keys that are added or removed count within a second. An empty path: no keys.
  explicit KeyStore(Path file);
  // At least one key exists, or the file cannot be read (then no key is right).
  bool required() const;
  // The scope of a key, or empty when it is wrong. Takes the same time for every wrong key.
  std::string scope_of(std::string_view key) const;

 private:
  void refresh() const;

  const Path file_;
  mutable std::mutex mutex_;
  mutable std::vector<ApiKey> keys_;
  mutable bool broken_ = false;
  mutable std::string seen_;  // what the file looked like when it was read
  mutable double checked_ = -1;
};

}  // namespace volant
