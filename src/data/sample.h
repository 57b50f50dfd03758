// A look at one file before it is collected: its kind, charset, fields, languages, what prepare() would say,
// and the first rows.
#pragma once
#include "base/json.h"
#include "io/file.h"

namespace volant {

// The kind of source that a file name stands for: .md markdown, .html html, .csv .tsv csv, .jsonl .json
// jsonl, else text; a last .gz or .zst does not count.
std::string kind_of_file(const Path& path);

// {"kind", "bytes", "records", "charsets", "fields", "languages", "verdicts", "personal_data", "problems",
//  "rows": [{"record", "text", "lang", "verdict"}]}; the counts are of the first 10,000 records. `kind`
//  empty: by name.
Result<Json> sample_of_file(const Path& path, const std::string& kind, uint64_t n_rows);

}  // namespace volant
