#include "server/key_store.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "io/lock_file.h"

namespace volant {
namespace {

constexpr uint64_t kMaxKeyFileBytes = 1 << 20;
constexpr size_t kMaxKeys = 1000;

Status write_keys(const Path& file, const std::vector<ApiKey>& keys) {
  JsonArray list;
  for (const ApiKey& key : keys) {
    list.push_back(JsonObject{{"name", key.name},
                              {"scope", key.scope},
                              {"created_at", key.created_at},
                              {"hint", key.hint},
                              {"sha256", key.hash}});
  }
  // Nobody else can read it at any moment: the file gets its rights before its name.
  const Path aside = partial_path(file);
  TRY(make_dirs(file.parent_path()));
  const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::kIo, "cannot write the key file").at(file.string());
  const std::string text = dump_json_pretty(JsonObject{{"keys", std::move(list)}});
  const bool written =
      ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  ::close(fd);
  if (!written) {
    ::unlink(aside.c_str());
    return fail(ErrorCode::kIo, "cannot write the key file; is the disk full?").at(file.string());
  }
  return rename_into_place(aside, file);
}

// Changes whenever the file does.
std::string look_of(const Path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return errno == ENOENT ? "missing" : "unreadable";
  return fmt::format("{} {} {}.{}", info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '@';
  });
}

}  // namespace

Result<std::vector<ApiKey>> KeyStore::read(const Path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error) && !error) return std::vector<ApiKey>();
  const std::string text = TRY(read_file(file, kMaxKeyFileBytes));
  const Result<Json> parsed = parse_json(text);
  const Json* list = parsed ? json_find(*parsed, "keys") : nullptr;
  if (list == nullptr || !list->is_array()) {
    return fail(ErrorCode::kParse, "expected a key file: an object with a list 'keys'").at(file.string());
  }
  std::vector<ApiKey> keys;
  for (const Json& item : list->get_array()) {
    ApiKey key;
    key.name = TRY(json_string(item, "name"));
    key.scope = TRY(json_string(item, "scope"));
    key.created_at = TRY(json_string(item, "created_at"));
    key.hint = TRY(json_string(item, "hint"));
    key.hash = TRY(json_string(item, "sha256"));
    if (key.hash.size() != 64) return fail(ErrorCode::kParse, "a key without a SHA-256").at(file.string());
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<std::string> KeyStore::add(const Path& file, const std::string& name, const std::string& scope) {
  if (!valid_name(name)) {
    return fail(ErrorCode::kInvalidArgument,
                "expected a name of 1 to 64 letters, digits, '-', '_', '.' or '@', got '{}'",
                name.substr(0, 80));
  }
  if (scope != "all" && scope != "models") {
    return fail(ErrorCode::kInvalidArgument, "expected a scope 'all' or 'models', got '{}'", scope);
  }
  TRY(make_dirs(file.parent_path()));
  const LockFile lock = TRY(LockFile::acquire(file.string() + ".lock"));
  std::vector<ApiKey> keys = TRY(read(file));
  if (std::any_of(keys.begin(), keys.end(), [&](const ApiKey& key) { return key.name == name; })) {
    return fail(ErrorCode::kAlreadyExists, "there is a key named '{}' already; remove it first", name);
  }
  if (keys.size() >= kMaxKeys) return fail(ErrorCode::kLimit, "there are {} keys already", keys.size());
  std::string key = "vk-" + secure_random_hex(32);
  keys.push_back({.name = name,
                  .scope = scope,
                  .created_at = now_iso8601(),
                  .hint = key.substr(0, 7),
                  .hash = sha256_hex(key)});
  TRY(write_keys(file, keys));
  return key;
}

Status KeyStore::remove(const Path& file, const std::string& name) {
  TRY(make_dirs(file.parent_path()));
  const LockFile lock = TRY(LockFile::acquire(file.string() + ".lock"));
  std::vector<ApiKey> keys = TRY(read(file));
  if (std::erase_if(keys, [&](const ApiKey& key) { return key.name == name; }) == 0) {
    return fail(ErrorCode::kNotFound, "there is no key named '{}'", name.substr(0, 80));
  }
  return write_keys(file, keys);
}

KeyStore::KeyStore(Path file) : file_(std::move(file)) {
  const std::lock_guard lock(mutex_);
  refresh();
}

void KeyStore::refresh() const {
  if (file_.empty()) return;
  const double now = steady_seconds();
  if (checked_ >= 0 && now - checked_ < 1) return;
  checked_ = now;
  std::string look = look_of(file_);
  if (look == seen_) return;
  Result<std::vector<ApiKey>> keys = read(file_);
  seen_ = std::move(look);
  broken_ = !keys;
  if (!keys) {
    log_error("the key file cannot be read, so every key is refused: {}", keys.error().to_string());
    keys_.clear();
    return;
  }
  keys_ = std::move(*keys);
}

bool KeyStore::required() const {
  const std::lock_guard lock(mutex_);
  refresh();
  return broken_ || !keys_.empty();
}

std::string KeyStore::scope_of(std::string_view key) const {
  const std::string hash = sha256_hex(key);
  const std::lock_guard lock(mutex_);
  refresh();
  std::string scope;
  for (const ApiKey& known : keys_) {
    if (CRYPTO_memcmp(known.hash.data(), hash.data(), hash.size()) == 0) scope = known.scope;
  }
  return scope;
}

}  // namespace volant
