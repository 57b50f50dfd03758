// Shell patterns over the file system, one path component at a time.
#include <fnmatch.h>

#include <algorithm>
#include <system_error>

#include "io/file.h"
#include "io/system_error.h"

namespace volant {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxMatches = 5'000'000;
constexpr int kMaxDepth = 128;

bool has_wildcard(const std::string& component) {
  return component.find_first_of("*?[") != std::string::npos;
}

class Walk {
 public:
  explicit Walk(std::vector<std::string> components) : components_(std::move(components)) {}

  // Adds what matches components [index ..] below `base`.
  Status from(const Path& base, size_t index, int depth) {
    if (depth > kMaxDepth)
      return fail(ErrorCode::kLimit, "folders are nested over {} deep", kMaxDepth).at(base.string());
    if (index == components_.size()) return {};
    const std::string& component = components_[index];
    const bool last = index + 1 == components_.size();
    if (component == "**") {
      if (!last) TRY(from(base, index + 1, depth));
      return each_entry(base, [&](const fs::directory_entry& entry) -> Status {
        if (hidden(entry)) return {};
        std::error_code ignored;
        if (last && entry.is_regular_file(ignored)) TRY(add(entry.path()));
        // Links to folders are not followed here: they can lead in circles.
        if (entry.is_directory(ignored) && !entry.is_symlink(ignored))
          return from(entry.path(), index, depth + 1);
        return {};
      });
    }
    if (!has_wildcard(component)) {
      const Path next = base / component;
      std::error_code ignored;
      if (last) return fs::is_regular_file(next, ignored) ? add(next) : Status();
      return fs::is_directory(next, ignored) ? from(next, index + 1, depth + 1) : Status();
    }
    return each_entry(base, [&](const fs::directory_entry& entry) -> Status {
      if (::fnmatch(component.c_str(), entry.path().filename().c_str(), FNM_PERIOD) != 0) return {};
      std::error_code ignored;
      if (last) return entry.is_regular_file(ignored) ? add(entry.path()) : Status();
      return entry.is_directory(ignored) ? from(entry.path(), index + 1, depth + 1) : Status();
    });
  }

  std::vector<Path> take() {
    std::sort(matches_.begin(), matches_.end());
    matches_.erase(std::unique(matches_.begin(), matches_.end()), matches_.end());
    return std::move(matches_);
  }

 private:
  static bool hidden(const fs::directory_entry& entry) {
    return entry.path().filename().string().front() == '.';
  }

  Status add(const Path& path) {
    if (matches_.size() >= kMaxMatches)
      return fail(ErrorCode::kLimit, "the pattern matches over {} files", kMaxMatches);
    matches_.push_back(path);
    return {};
  }

  template <class Visit>
  Status each_entry(const Path& base, const Visit& visit) {
    std::error_code code;
    fs::directory_iterator it(base.empty() ? Path(".") : base, code);
    for (; !code && it != fs::directory_iterator(); it.increment(code)) {
      // Keep "a/b", not "./a/b", for a pattern without a folder.
      if (base.empty()) {
        TRY(visit(fs::directory_entry(it->path().filename())));
      } else {
        TRY(visit(*it));
      }
    }
    if (code) return system_error(base, "read the folder", code.value());
    return {};
  }

  std::vector<std::string> components_;
  std::vector<Path> matches_;
};

}  // namespace

Result<std::vector<Path>> glob(const std::string& pattern) {
  if (pattern.empty()) return fail(ErrorCode::kInvalidArgument, "expected a file pattern, got an empty text");
  std::vector<std::string> components;
  for (const Path& part : Path(pattern).relative_path()) {
    if (!part.empty()) components.push_back(part.string());
  }
  Walk walk(std::move(components));
  Status walked = walk.from(Path(pattern).root_path(), 0, 0);
  if (!walked) return std::move(walked).error().at(pattern);
  return walk.take();
}

}  // namespace volant
