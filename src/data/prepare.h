// Prepare: collected rows become training rows. Steps, each in a file of its own, in this order: decode (rows
// that are not rows), clean, cut (documents over max_chars become several), personal_data (masked),
// exact_duplicates, language, quality, near_duplicates, split. Every row in is a row out or counted under the
// step and reason that dropped it, with examples. The same input and options give the same bytes. Memory: a
// kilobyte a row or so; texts wait in a file beside the output.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace volant {

// `[prepare]` of volant.toml; members are named as its keys.
struct PrepareOptions {
  std::string normalize = "nfc";            // nfc | nfkc | none
  uint64_t min_chars = 20;                  // code points that are not blank; a Chinese one counts twice
  uint64_t max_chars = 20000;               // longer documents are cut at paragraphs, lines or sentences
  std::vector<std::string> languages = {};  // ISO 639-1 codes that may pass; empty: all
  double near_duplicate_threshold = 0.8;    // Jaccard similarity of shingles; 0 or above 1: step is left out
  bool mask_personal_data = true;
  double min_quality = 0.3;                  // score of data/quality.h, 0 to 1; 0: no quality step at all
  std::vector<std::string> skip_rules = {};  // names of quality rules that do not apply
  double validation_share = 0.05;
  double test_share = 0.05;
};

struct PrepareExample {
  std::string reason, text, source, path, detail;
  uint64_t record = 0;
};

struct PrepareStepReport {
  std::string name;
  uint64_t rows_in = 0, rows_out = 0, dropped = 0, changed = 0;
  std::map<std::string, std::array<uint64_t, 2>> by_language;  // rows in, rows out
  std::map<std::string, uint64_t> reasons;                     // rows dropped or changed, by reason
  std::vector<PrepareExample> examples;                        // a few for each reason
};

struct RowsAndBytes {
  uint64_t rows = 0, bytes = 0;
};

struct PrepareReport {
  uint64_t rows_in = 0, rows_out = 0, bytes_in = 0, bytes_out = 0;
  double seconds = 0;
  std::vector<PrepareStepReport> steps;
  std::map<std::string, RowsAndBytes> languages;
  std::map<std::string, RowsAndBytes> splits;              // train, validation, test
  std::map<std::string, std::array<uint64_t, 2>> sources;  // rows in, rows out
  std::map<std::string, uint64_t> personal_data;           // masked, by kind
  std::vector<std::string> warnings;
  Json to_json() const;
};

// "en", "yue": two or three small letters.
bool is_language_code(std::string_view code);
// What prepare() refuses before it reads anything.
Status check_prepare_options(const PrepareOptions& options);
// Reads collected rows from `rows_paths` and writes train.jsonl.zst, validation.jsonl.zst, test.jsonl.zst and
// report.json into `out_folder` (created; the folder appears whole or not at all when it is new).
// kInvalidArgument for options out of range, kParse when no row is left in the training split (the message
// says which step dropped most), kCancelled after a stop request.
Result<PrepareReport> prepare(const PrepareOptions& options, const std::vector<Path>& rows_paths,
                              const Path& out_folder);

}  // namespace volant
