// Two passes. The first decodes and cleans every row into a spool and counts lines for boilerplate; the
// second judges row by row and spools what stays; then the splits are written.
#include "data/prepare.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/boilerplate.h"
#include "data/clean.h"
#include "data/cut.h"
#include "data/exact_duplicates.h"
#include "data/near_duplicates.h"
#include "data/personal_data.h"
#include "data/quality.h"
#include "data/row.h"
#include "data/row_spool.h"
#include "data/split.h"
#include "data/step_ledger.h"
#include "io/jsonl.h"
#include "text/language.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr uint64_t kMinMaxChars = 100;

Error cancelled() {
  return fail(ErrorCode::kCancelled, "stopped before the data was prepared; run it again to start over");
}

// All the state of one prepare().
class Preparer {
 public:
  Preparer(const PrepareOptions& options, RowSpool clean_rows, RowSpool kept_rows)
      : options_(options),
        normalization_(normalization_of(options.normalize).value()),
        clean_rows_(std::move(clean_rows)),
        kept_rows_(std::move(kept_rows)) {
    if (near_duplicates_on()) {
      near_index_.emplace(options.near_duplicate_threshold, [this](uint64_t n) {
        Result<Row> row = kept_rows_.row(n);
        return row ? std::move(row->text) : std::string();
      });
    }
  }

  Status read_and_clean(const std::vector<Path>& paths);
  Status judge_all();
  Status write_splits(const Path& folder);
  PrepareReport finish() &&;

 private:
  bool near_duplicates_on() const {
    return options_.near_duplicate_threshold > 0 && options_.near_duplicate_threshold <= 1;
  }
  Status clean_row(Result<Row> decoded, const std::string& place);
  Status judge_row(Row row);
  Status judge_piece(Row row);
  void mask_row(Row& row);
  bool passes_language(const Row& row);
  bool passes_exact(const Row& row);
  bool passes_quality(const Row& row);
  Result<bool> passes_near(const Row& row);

  const PrepareOptions& options_;
  Normalization normalization_;
  RowSpool clean_rows_, kept_rows_;
  Boilerplate boilerplate_;
  ExactDuplicates exact_;
  std::optional<NearDuplicateIndex> near_index_;
  std::vector<double> positions_;  // of kept rows, for the split
  struct Place {
    const std::string* path;  // in paths_
    uint64_t record;
  };
  std::set<std::string> paths_;
  std::vector<Place> first_places_;  // of texts that were the first of their kind
  PrepareReport report_;
  const bool mask_ = options_.mask_personal_data;
  StepLedger decode_{"decode", mask_}, clean_{"clean", mask_}, cut_{"cut", mask_},
      personal_{"personal_data", mask_}, exact_step_{"exact_duplicates", mask_}, language_{"language", mask_},
      quality_{"quality", mask_}, near_step_{"near_duplicates", mask_}, split_{"split", mask_};
};

// ---- first pass

Status Preparer::read_and_clean(const std::vector<Path>& paths) {
  Progress progress("clean", 0, "rows");
  for (const Path& path : paths) {
    JsonlReader reader = TRY(JsonlReader::open(path));
    while (true) {
      if (stop_requested()) return cancelled();
      Result<std::optional<Json>> next = reader.next();
      if (next && !*next) break;
      if (!next && next.error().code != ErrorCode::kParse && next.error().code != ErrorCode::kLimit) {
        return std::move(next).error();
      }
      ++report_.rows_in;
      const std::string place = fmt::format("{}:{}", path.filename().string(), reader.line());
      TRY(clean_row(next ? row_from_json(**next) : Result<Row>(std::move(next).error()), place));
      progress.update(report_.rows_in);
    }
  }
  boilerplate_.finish();
  return {};
}

Status Preparer::clean_row(Result<Row> decoded, const std::string& place) {
  if (!decoded) {
    Row broken;
    broken.lang = "und";
    broken.path = place;
    broken.id = place;
    decode_.enter(broken);
    decode_.drop(broken, "not_a_row", std::move(decoded).error().at(place).to_string());
    return {};
  }
  Row row = std::move(*decoded);
  report_.bytes_in += row.text.size();
  ++report_.sources[row.source][0];
  const std::string before = row.text;
  CleanChanges changes;
  row.map_text([&](std::string_view text) { return clean_text(text, normalization_, &changes); });
  row.lang = identify_language(row.text).code;
  decode_.enter(row);
  decode_.leave(row);
  clean_.enter(row);
  if (row.text.empty()) {
    row.text = before;
    clean_.drop(row, "empty", "nothing was left after cleaning");
    return {};
  }
  if (changes.any()) clean_.change(row, changes.names(), before);
  if (!row.is_conversation()) boilerplate_.count(row.source, row.text);
  return clean_rows_.add(row);
}

// ---- second pass

Status Preparer::judge_all() {
  Progress progress("judge", clean_rows_.size(), "rows");
  for (uint64_t n = 0; n < clean_rows_.size(); ++n) {
    if (stop_requested()) return cancelled();
    TRY(judge_row(TRY(clean_rows_.row(n))));
    progress.update(n + 1, fmt::format("{} kept", kept_rows_.size()));
  }
  return {};
}

// Ends the cleaning step (boilerplate) and cuts what is too long.
Status Preparer::judge_row(Row row) {
  if (!row.is_conversation()) {
    uint64_t n_removed = 0;
    std::string rest = boilerplate_.remove(row.source, row.text, &n_removed);
    if (n_removed > 0 && rest.empty()) {
      clean_.drop(row, "only_boilerplate", "every line is shared by many documents of the source");
      return {};
    }
    if (n_removed > 0) {
      const std::string before = std::exchange(row.text, std::move(rest));
      clean_.change(row, {"boilerplate"}, before);
    }
  }
  clean_.leave(row);

  cut_.enter(row);
  std::vector<std::string> pieces;
  if (!row.is_conversation()) pieces = cut_text(row.text, options_.max_chars);
  if (pieces.size() <= 1) {
    if (row.is_conversation() && count_code_points(row.text) > options_.max_chars) {
      cut_.drop(row, "too_long",
                fmt::format("a conversation of more than {} characters cannot be cut", options_.max_chars));
      return {};
    }
    cut_.leave(row);
    return judge_piece(std::move(row));
  }
  cut_.change(row, {"cut"}, fmt::format("{} pieces", pieces.size()));
  for (size_t i = 0; i < pieces.size(); ++i) {
    Row piece = row;
    piece.text = std::move(pieces[i]);
    piece.id = fmt::format("{}.{}", row.id, i + 1);
    piece.lang = identify_language(piece.text).code;
    cut_.leave(piece);
    TRY(judge_piece(std::move(piece)));
  }
  return {};
}

void Preparer::mask_row(Row& row) {
  personal_.enter(row);
  std::map<std::string, uint64_t> counts;
  row.map_text([&](std::string_view text) { return mask_personal_data(text, &counts); });
  std::vector<std::string> kinds;
  for (const auto& [kind, count] : counts) {
    report_.personal_data[kind] += count;
    kinds.push_back(kind);
  }
  // The example shows the masked text only: a report must not hold what was masked.
  if (!counts.empty()) personal_.change(row, kinds, row.text);
  personal_.leave(row);
}

bool Preparer::passes_language(const Row& row) {
  language_.enter(row);
  const std::vector<std::string>& allowed = options_.languages;
  if (allowed.empty() || std::find(allowed.begin(), allowed.end(), row.lang) != allowed.end()) {
    language_.leave(row);
    return true;
  }
  language_.drop(row, row.lang, "not in the list of languages");
  return false;
}

bool Preparer::passes_quality(const Row& row) {
  quality_.enter(row);
  if (options_.min_quality > 0) {
    const QualityVerdict verdict = judge_quality(
        measure_text(row.text), {options_.min_chars, options_.min_quality, options_.skip_rules});
    if (!verdict.keep) {
      quality_.drop(row, verdict.rule, verdict.detail);
      return false;
    }
  }
  quality_.leave(row);
  return true;
}

// True when no text before this one is the same.
bool Preparer::passes_exact(const Row& row) {
  exact_step_.enter(row);
  const std::optional<uint64_t> first = exact_.add(first_places_.size(), row.text);
  if (first) {
    const Place& place = first_places_[*first];
    exact_step_.drop(row, "duplicate", fmt::format("the same as {} record {}", *place.path, place.record));
    return false;
  }
  first_places_.push_back({&*paths_.insert(row.path).first, row.record});
  exact_step_.leave(row);
  return true;
}

Result<bool> Preparer::passes_near(const Row& row) {
  if (!near_index_) return true;
  near_step_.enter(row);
  const std::vector<uint64_t> shingles = shingles_of(row.text);
  const std::optional<NearDuplicate> twin = near_index_->add(kept_rows_.size(), shingles, min_hash(shingles));
  if (twin) {
    const Row first = TRY(kept_rows_.row(twin->of));
    near_step_.drop(row, "near_duplicate",
                    fmt::format("{:.0f} % like {} record {}: {}", 100 * twin->similarity, first.path,
                                first.record, snippet(first.text, 120)));
    return false;
  }
  near_step_.leave(row);
  return true;
}

// Everything after cleaning; what passes all steps is kept.
Status Preparer::judge_piece(Row row) {
  if (options_.mask_personal_data) mask_row(row);
  if (!passes_exact(row) || !passes_language(row) || !passes_quality(row)) return {};
  if (!TRY(passes_near(row))) return {};
  positions_.push_back(split_position(row.text));
  return kept_rows_.add(row);
}

// ---- output

Status Preparer::write_splits(const Path& folder) {
  if (kept_rows_.size() == 0) return {};
  const std::vector<const char*> splits =
      assign_splits(positions_, options_.validation_share, options_.test_share);
  std::map<std::string, JsonlWriter> writers;
  for (const char* split : {"train", "validation", "test"}) {
    writers.emplace(split, TRY(JsonlWriter::create(folder / (std::string(split) + ".jsonl.zst"))));
    report_.splits[split];
  }
  Progress progress("split", kept_rows_.size(), "rows");
  for (uint64_t n = 0; n < kept_rows_.size(); ++n) {
    if (stop_requested()) return cancelled();
    const Row row = TRY(kept_rows_.row(n));
    split_.enter(row);
    split_.leave(row);
    TRY(writers.at(splits[n]).write(row_to_json(row, false)));
    for (RowsAndBytes* counts : {&report_.splits[splits[n]], &report_.languages[row.lang]}) {
      ++counts->rows;
      counts->bytes += row.text.size();
    }
    ++report_.sources[row.source][1];
    ++report_.rows_out;
    report_.bytes_out += row.text.size();
    progress.update(n + 1);
  }
  for (auto& [split, writer] : writers) TRY(writer.finish());
  return {};
}

PrepareReport Preparer::finish() && {
  for (StepLedger* step : {&decode_, &clean_, &cut_}) report_.steps.push_back(std::move(*step).finish());
  if (options_.mask_personal_data) report_.steps.push_back(std::move(personal_).finish());
  for (StepLedger* step : {&exact_step_, &language_, &quality_})
    report_.steps.push_back(std::move(*step).finish());
  if (near_index_) report_.steps.push_back(std::move(near_step_).finish());
  report_.steps.push_back(std::move(split_).finish());
  for (const auto& [split, share] :
       {std::pair{"validation", options_.validation_share}, {"test", options_.test_share}}) {
    if (share > 0 && report_.splits[split].rows == 0) {
      report_.warnings.push_back(fmt::format("the {} split is empty: too few rows", split));
    }
  }
  for (const auto& [name, counts] : report_.sources) {
    if (counts[1] == 0) report_.warnings.push_back(fmt::format("no row of source {} is left", name));
  }
  return std::move(report_);
}

// "123 of 130 rows went in step language (fr: 120, de: 3)".
Error nothing_left(const PrepareReport& report) {
  const PrepareStepReport* worst = nullptr;
  for (const PrepareStepReport& step : report.steps) {
    if (worst == nullptr || step.dropped > worst->dropped) worst = &step;
  }
  if (report.rows_in == 0 || worst == nullptr) {
    return fail(ErrorCode::kParse, "expected rows to prepare, got none; collect something first");
  }
  std::string reasons;
  for (const auto& [reason, count] : worst->reasons) {
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : ", ", reason, count);
  }
  return fail(ErrorCode::kParse,
              "no row is left for training: of {} rows the step \"{}\" dropped {} ({}); change its limits",
              report.rows_in, worst->name, worst->dropped, reasons);
}

// Removes what was half written, unless it was finished.
struct Workplace {
  Path folder;
  bool temporary = false;
  ~Workplace() {
    std::error_code ignored;
    if (temporary) std::filesystem::remove_all(folder, ignored);
  }
};

}  // namespace

bool is_language_code(std::string_view code) {
  return code.size() >= 2 && code.size() <= 3 &&
         std::all_of(code.begin(), code.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

Status check_prepare_options(const PrepareOptions& o) {
  const auto share = [](double s) { return s >= 0 && s < 1; };
  if (!share(o.validation_share) || !share(o.test_share) || o.validation_share + o.test_share >= 1) {
    return fail(ErrorCode::kInvalidArgument,
                "expected validation_share and test_share of 0 or more, together below 1, got {} and {}",
                o.validation_share, o.test_share);
  }
  if (o.max_chars < std::max(o.min_chars, kMinMaxChars)) {
    return fail(ErrorCode::kInvalidArgument,
                "expected max_chars of at least {} and at least min_chars ({}), got {}", kMinMaxChars,
                o.min_chars, o.max_chars);
  }
  for (const std::string& code : o.languages) {
    if (!is_language_code(code))
      return fail(ErrorCode::kInvalidArgument, "languages: expected codes as \"en\" or \"zh\", got \"{}\"",
                  code);
  }
  if (o.min_quality < 0 || o.min_quality > 1) {
    return fail(ErrorCode::kInvalidArgument, "expected min_quality from 0 to 1, got {}", o.min_quality);
  }
  const std::span<const std::string> rules = quality_rules();
  for (const std::string& rule : o.skip_rules) {
    if (std::find(rules.begin(), rules.end(), rule) != rules.end()) continue;
    std::string known;
    for (const std::string& name : rules) known += (known.empty() ? "" : ", ") + name;
    return fail(ErrorCode::kInvalidArgument, "expected skip_rules to name quality rules ({}), got \"{}\"",
                known, rule);
  }
  TRY(normalization_of(o.normalize));
  return {};
}

Result<PrepareReport> prepare(const PrepareOptions& options, const std::vector<Path>& rows_paths,
                              const Path& out_folder) {
  TRY(check_prepare_options(options));
  const double started = steady_seconds();
  Workplace place{out_folder, false};
  if (!std::filesystem::exists(out_folder)) place = {partial_path(out_folder), true};
  TRY(make_dirs(place.folder));

  PrepareReport report;
  {
    Preparer preparer(options, TRY(RowSpool::create(partial_path(place.folder / "clean"))),
                      TRY(RowSpool::create(partial_path(place.folder / "kept"))));
    TRY(preparer.read_and_clean(rows_paths));
    TRY(preparer.judge_all());
    TRY(preparer.write_splits(place.folder));
    report = std::move(preparer).finish();
  }
  if (report.splits["train"].rows == 0) return nothing_left(report);
  TRY(write_file_atomic(place.folder / "report.json", dump_json_pretty(report.to_json())));
  if (place.temporary) {
    TRY(rename_into_place(place.folder, out_folder));
    place.temporary = false;
  }
  report.seconds = steady_seconds() - started;
  return report;
}

}  // namespace volant
