// Boilerplate: lines that most documents of a source share (menus, footers, licence notes). Counted in one
// pass over all documents, removed in a second. A line is boilerplate when at least 20 documents of its
// source and a fifth of them hold it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace volant {

class Boilerplate {
 public:
  static constexpr uint64_t kMinDocuments = 20;
  static constexpr double kMinShare = 0.2;

  // First pass: counts the lines of a document.
  void count(std::string_view source, std::string_view text);
  // After the first pass.
  void finish();
  // Second pass: the text without boilerplate lines; `n_removed` counts them.
  std::string remove(std::string_view source, std::string_view text, uint64_t* n_removed) const;
  uint64_t n_lines() const { return lines_.size(); }

 private:
  struct Source {
    uint64_t n_documents = 0;
    std::unordered_map<uint64_t, uint64_t> documents_with;  // by hash of the line
  };
  std::unordered_map<std::string, Source> sources_;
  std::unordered_set<uint64_t> lines_;  // hash of source and line
};

}  // namespace volant
