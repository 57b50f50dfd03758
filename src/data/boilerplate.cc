#include "data/boilerplate.h"

#include <algorithm>

#include "base/digest.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxLinesCounted = 2'000'000;  // by source; rare lines are forgotten beyond it
constexpr uint64_t kMinLineChars = 4;           // a lone "}" or "*" is no boilerplate

std::string_view trimmed(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t") - begin + 1);
}

template <class F>
void for_each_line(std::string_view text, F f) {
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    f(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

uint64_t key_of(uint64_t line, std::string_view source) { return hash64(source, line); }

}  // namespace

void Boilerplate::count(std::string_view source, std::string_view text) {
  Source& s = sources_[std::string(source)];
  ++s.n_documents;
  std::unordered_set<uint64_t> here;  // a line counts once a document
  for_each_line(text, [&](std::string_view line) {
    const std::string_view body = trimmed(line);
    if (body.size() >= kMinLineChars && here.insert(hash64(body)).second) ++s.documents_with[hash64(body)];
  });
  if (s.documents_with.size() <= kMaxLinesCounted) return;
  // What a fifth of all documents share is far above one in two hundred at any time after the first few.
  const uint64_t least = 1 + s.n_documents / 200;
  std::erase_if(s.documents_with, [&](const auto& entry) { return entry.second <= least; });
}

void Boilerplate::finish() {
  for (const auto& [source, s] : sources_) {
    const double least = std::max<double>(kMinDocuments, kMinShare * static_cast<double>(s.n_documents));
    for (const auto& [line, n] : s.documents_with) {
      if (static_cast<double>(n) >= least) lines_.insert(key_of(line, source));
    }
  }
  sources_.clear();
}

std::string Boilerplate::remove(std::string_view source, std::string_view text, uint64_t* n_removed) const {
  if (lines_.empty()) return std::string(text);
  std::string out;
  bool gap = false;
  for_each_line(text, [&](std::string_view line) {
    const std::string_view body = trimmed(line);
    if (body.size() >= kMinLineChars && lines_.contains(key_of(hash64(body), source))) {
      ++*n_removed;
      return;
    }
    if (body.empty()) {
      gap = !out.empty();
      return;
    }
    if (!out.empty()) out += gap ? "\n\n" : "\n";
    gap = false;
    out += line;
  });
  return out;
}

}  // namespace volant
