// Settings: the keys of one section of volant.toml as JSON, read one by one. Ranges and words are checked,
// and what nobody asked for is refused by name. The first error is kept and comes out of finish().
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace volant {

class Settings {
 public:
  // `section` is how messages call it: "data". `json` must be an object and must outlive this.
  Settings(const Json& json, std::string section);

  std::string text(std::string_view key, std::string_view otherwise = "");
  std::string choice(std::string_view key, std::initializer_list<std::string_view> words);  // first: default
  int64_t integer(std::string_view key, int64_t otherwise, int64_t low, int64_t high);
  double number(std::string_view key, double otherwise, double low, double high);
  bool flag(std::string_view key, bool otherwise);
  // One text or a list of them.
  std::vector<std::string> texts(std::string_view key);
  // A name, or a number of a column as it is written: 0 is "0".
  std::string column(std::string_view key, std::string_view otherwise = "");
  // As texts(), of paths relative to `base`; a name with `*`, `?` or `[` is a shell pattern.
  std::vector<Path> paths(std::string_view key, const Path& base);
  // {"column": "word", ...}, every word one of `words`.
  std::vector<std::pair<std::string, std::string>> words_by_name(
      std::string_view key, std::initializer_list<std::string_view> words);
  // Keys that somebody else reads.
  void known(std::span<const std::string_view> keys);
  // An error of the caller, about what these settings say.
  void fails(Error error);

  bool ok() const { return status_.has_value(); }
  // The first error; kInvalidArgument for a key that nobody asked for, with the nearest that was.
  Status finish();

 private:
  const Json* find(std::string_view key);
  void wrong(std::string_view key, std::string_view expected, const Json& got);

  const Json& json_;
  std::string section_;
  std::vector<std::string> known_;
  Status status_;
};

}  // namespace volant
