#include "wheel/training_data.h"

#include <map>

#include "data/mixture.h"
#include "data/row_reader.h"
#include "data/split.h"
#include "io/jsonl.h"

namespace volant {
namespace {

constexpr size_t kMaxRows = 1 << 22;

RowKind kind_of(const JsonObject& row) {
  if (row.contains("chosen")) return RowKind::kPreference;
  if (row.contains("label") && row.contains("completion")) return RowKind::kJudgement;
  if (row.contains("messages")) return RowKind::kConversation;
  return row.contains("text") && row.size() <= 3 && !row.contains("label") ? RowKind::kDocument
                                                                           : RowKind::kOther;
}

bool is_text_file(const Path& path) { return path.extension() == ".txt" || path.extension() == ".md"; }

Result<std::vector<JsonObject>> read_rows(const TrainingSource& source, bool canonical) {
  std::vector<JsonObject> rows;
  if (is_text_file(source.path)) {
    std::string text = TRY(read_file(source.path));
    if (text.find_first_not_of(" \t\r\n") == std::string::npos)
      return fail(ErrorCode::kInvalidArgument, "expected text, the file holds none").at(source.path.string());
    rows.push_back({{"text", std::move(text)}});
    return rows;
  }
  const auto keep = [&](JsonObject row, const std::string& place) -> Status {
    if (rows.size() == kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(place);
    rows.push_back(std::move(row));
    return {};
  };
  if (canonical) {
    RowReader reader = TRY(RowReader::open(source.path, source.layout));
    while (auto row = TRY(reader.next())) TRY(keep(std::move(*row), reader.place()));
    return rows;
  }
  JsonlReader reader = TRY(JsonlReader::open(source.path));
  while (auto row = TRY(reader.next())) {
    const std::string place = fmt::format("{}:{}", source.path.string(), reader.line());
    if (!row->is_object()) return fail(ErrorCode::kParse, "expected a JSON object").at(place);
    TRY(keep(std::move(row->as_object()), place));
  }
  return rows;
}

enum class Part { kTrain, kValidation, kTest };

// By what the row asks, so that all answers to one prompt are always on the same side. Validation comes
// first: a test part that is added later takes nothing from it.
Part part_of(const JsonObject& row, const HeldOut& held_out) {
  const double position = split_position(prompt_text(row));
  if (position < held_out.validation_share) return Part::kValidation;
  return position < held_out.validation_share + held_out.test_share ? Part::kTest : Part::kTrain;
}

Result<uint64_t> write_rows(const std::vector<JsonObject>& rows, const Path& file) {
  JsonlWriter writer = TRY(JsonlWriter::create(file));
  for (const JsonObject& row : rows) TRY(writer.write(row));
  TRY(writer.finish());
  return rows.size();
}

}  // namespace

Result<TrainingRows> write_training_rows(const std::vector<TrainingSource>& sources, uint64_t seed,
                                         bool canonical, const Path& train, const HeldOut& held_out) {
  std::vector<std::vector<JsonObject>> rows;
  std::vector<MixtureSource> mixture;
  std::map<RowKind, uint64_t> kinds;
  std::vector<JsonObject> validation, test;
  for (const TrainingSource& source : sources) {
    std::vector<JsonObject>& kept = rows.emplace_back();
    std::vector<JsonObject> all = TRY(read_rows(source, canonical));
    if (all.empty())
      return fail(ErrorCode::kInvalidArgument, "expected rows, the file holds none").at(source.path.string());
    for (JsonObject& row : all) {
      ++kinds[kind_of(row)];
      const Part part = part_of(row, held_out);
      (part == Part::kTest ? test : part == Part::kValidation ? validation : kept).push_back(std::move(row));
    }
    mixture.push_back({kept.size(), source.epochs, source.weight});
  }
  if (kinds.empty()) return fail(ErrorCode::kInvalidArgument, "expected rows in the data, got none");
  const bool may_mix = kinds.size() == 1 || (kinds.size() == 2 && kinds.contains(RowKind::kDocument) &&
                                             kinds.contains(RowKind::kConversation));
  if (!may_mix && canonical)
    return fail(ErrorCode::kInvalidArgument,
                "expected rows of one kind (or documents and conversations), got several; train on them one "
                "after the other");
  TrainingRows result{.kind = kinds.contains(RowKind::kConversation) ? RowKind::kConversation
                                                                     : kinds.begin()->first};
  JsonlWriter writer = TRY(JsonlWriter::create(train));
  for (const MixtureRow& at : TRY(mixture_rows(mixture, seed))) {
    TRY(writer.write(rows[at.source][at.row]));
    ++result.n_train;
  }
  TRY(writer.finish());
  if (held_out.validation_share > 0) result.n_validation = TRY(write_rows(validation, held_out.validation));
  if (held_out.test_share > 0) result.n_test = TRY(write_rows(test, held_out.test));
  return result;
}

std::string default_objective(RowKind kind) {
  switch (kind) {
    case RowKind::kPreference:
      return "dpo";
    case RowKind::kJudgement:
      return "kto";
    case RowKind::kConversation:
      return "sft";
    case RowKind::kDocument:
    case RowKind::kOther:
      break;
  }
  return "pretrain";
}

}  // namespace volant
