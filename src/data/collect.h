// Collect: files of the user's own as one JSON Lines file of documents. Sources: text,
// markdown, html, csv, jsonl (also a .json file that holds an array of objects); csv and jsonl
// also as .gz and .zst. A file that is reached by several names (symbolic links, overlapping
// globs) is read once. A bad row or file is counted and reported, not fatal, unless nothing at
// all could be read. Does not clean, judge or de-duplicate: that is prepare.h.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace volant {

// One `[[collect.source]]` of volant.toml; members are named as its keys.
struct CollectSource {
  std::string name;
  std::string kind = "text";         // text | markdown | html | csv | jsonl
  std::vector<std::string> paths;    // globs; relative ones start at the base folder
  std::vector<std::string> exclude;  // shell patterns, against the file name and the whole path
  std::string separator;  // text: a line that holds only this ends a record, empty: a file is a record,
                          // "\n": blank lines end a record;
                          // markdown: "#" starts a record at each heading
  std::string text_field = "text";  // csv, jsonl: column or field ("a.b" is nested, "title,text" joins by
                                    // line ends); csv without header: "#2" is the second column
  std::string delimiter;  // csv: one character; empty: tab for *.tsv*, else comma. Tab turns quoting off.
  std::string charset;    // empty: detect, file by file
  std::string licence;    // only recorded
};

struct CollectOptions {
  std::vector<CollectSource> sources;
  uint64_t max_file_bytes =
      1ULL << 30;  // larger files are bad files (jsonl is read as a stream, without this limit)
  uint64_t max_record_bytes = 16ULL << 20;  // larger records are bad rows
  uint64_t max_files = 1'000'000;
};

// Something that could not be read.
struct CollectProblem {
  std::string where;    // "posts.csv:17"
  std::string message;  // "expected 3 columns, got 2"
  std::string text;     // how the row begins
};

struct CollectSourceReport {
  std::string name, kind, licence;
  uint64_t files = 0;        // read
  uint64_t files_again = 0;  // other names of a file that was read already
  uint64_t files_bad = 0;
  uint64_t bytes_in = 0;
  uint64_t records = 0;  // written
  uint64_t rows_empty = 0;
  uint64_t rows_bad = 0;
  uint64_t files_lossy = 0;                  // some bytes were no text in the file's charset
  std::map<std::string, uint64_t> charsets;  // files by charset
  std::vector<CollectProblem> problems;      // the first few
};

struct CollectReport {
  uint64_t records = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;  // of text, not of the file
  double seconds = 0;
  std::vector<CollectSourceReport> sources;
  // {"rows_out", "bytes_in", "bytes_out", "seconds", "sources": [{"name", "kind", ..., "problems": [...]}]}
  Json to_json() const;
};

// Reads all sources into `out_jsonl_path` (plain, .gz or .zst by its name), written aside and renamed. Rows:
// {"id", "text", "source", "path", "record"}, or "messages" instead of "text" for jsonl rows that have them.
// The same files give the same bytes. kInvalidArgument for a source that cannot be right, kNotFound when a
// glob matches nothing, kParse when not one record came out of a source, kCancelled after a stop request.
Result<CollectReport> collect(const CollectOptions& options, const Path& out_jsonl_path,
                              const Path& base_dir);

// The files of one source, each once, in order: for a stage key. Same errors as collect().
Result<std::vector<Path>> source_files(const CollectSource& source, const Path& base_dir,
                                       uint64_t* again = nullptr);

}  // namespace volant
