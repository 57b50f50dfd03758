// Files of rows with columns, as tables and texts come: which files, which column is the label, how a field
// becomes a value.
#pragma once
#include <optional>

#include "io/csv.h"
#include "tasks/settings.h"
#include "tasks/task.h"

namespace volant {

// The files of one part: "train", "validation", "test", or "all" (task.h).
struct RowFiles {
  const char* part;
  std::vector<Path> paths;
};

// The keys train, validation and test. At least one file to train on.
std::vector<RowFiles> take_row_files(Settings& settings, const Path& base);
std::vector<Path> all_paths(std::span<const RowFiles> files);

// The file's ending without ".gz" and ".zst": ".csv".
std::string ending_of(const Path& path);

// Any charset, plain or compressed. Tab-separated files have no quotes. `separator` 0: find out.
Result<CsvReader> open_records(const Path& path, char separator, bool header);

// A finite decimal number as JSON writes one ("39", "-1.5e3", but not "007"), or nothing.
std::optional<double> parse_number(std::string_view text);
// As a JSON value: a whole number stays one.
std::optional<Json> number_json(std::string_view text);
std::string_view trim_blanks(std::string_view text);

// The label (kind "label") or number (kind "target") of a row from its field.
Status set_answer(TaskRow& row, bool is_number, std::string_view text);

}  // namespace volant
