#include "tasks/table/table_task.h"

#include <algorithm>

#include "base/nearest.h"
#include "tasks/row_files.h"
#include "tasks/table/table_augmenter.h"
#include "tasks/table/table_encoder.h"

namespace volant {
namespace {

struct TableData {
  std::vector<RowFiles> files;
  std::vector<std::string> columns, ignore, missing;
  std::string label, target, group, time, weight, strip_label;
  char separator = 0;
  TableOptions options;
};

Result<TableData> parse_data(const Json& data, const Path& base) {
  Settings settings(data, "data");
  TableData out;
  out.files = take_row_files(settings, base);
  out.columns = settings.texts("columns");
  out.ignore = settings.texts("ignore");
  out.missing = settings.texts("missing");
  if (out.missing.empty()) out.missing = {"", "?"};
  out.label = settings.text("label");
  out.target = settings.text("target");
  out.group = settings.text("group");
  out.time = settings.text("time");
  out.weight = settings.text("weight");
  out.strip_label = settings.text("strip_label");
  const std::string delimiter = settings.text("delimiter");
  out.options.types = settings.words_by_name("types", {"number", "category"});
  out.options.min_count = settings.integer("min_count", out.options.min_count, 1, 1'000'000);
  if (delimiter.size() > 1)
    settings.fails(fail(ErrorCode::kInvalidArgument,
                        "expected 'delimiter' in [data] to be one character, got \"{}\"", delimiter));
  if (out.label.empty() == out.target.empty())
    settings.fails(
        fail(ErrorCode::kInvalidArgument,
             "expected either 'label' or 'target' in [data]: the column to predict, of classes or numbers"));
  TRY(settings.finish());
  if (!delimiter.empty()) out.separator = delimiter[0];
  return out;
}

// What each column of a file is.
class Columns {
 public:
  static Result<Columns> make(const TableData& data, std::vector<std::string> names, const Path& path) {
    Columns out;
    out.names_ = std::move(names);
    out.is_input_.assign(out.names_.size(), true);
    out.is_text_.assign(out.names_.size(), false);
    const auto take = [&](const std::string& name, const char* key) -> Result<size_t> {
      const auto found = std::find(out.names_.begin(), out.names_.end(), name);
      if (found == out.names_.end())
        return fail(ErrorCode::kInvalidArgument,
                    "'{}' in [data] names the column '{}', which the file has not{}", key, name,
                    did_you_mean(name, out.names_))
            .at(path.string());
      const auto index = static_cast<size_t>(found - out.names_.begin());
      out.is_input_[index] = false;
      return index;
    };
    out.answer_ = data.label.empty() ? TRY(take(data.target, "target")) : TRY(take(data.label, "label"));
    if (!data.group.empty()) out.group_ = TRY(take(data.group, "group"));
    if (!data.time.empty()) out.time_ = TRY(take(data.time, "time"));
    if (!data.weight.empty()) out.weight_ = TRY(take(data.weight, "weight"));
    for (const std::string& name : data.ignore) TRY(take(name, "ignore"));
    for (const auto& [name, type] : data.options.types)
      for (size_t i = 0; i < out.names_.size(); ++i)
        if (out.names_[i] == name && type == "category") out.is_text_[i] = true;
    return out;
  }

  Result<TaskRow> row(const TableData& data, const std::vector<std::string>& fields) const {
    TaskRow row;
    JsonObject input;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (!is_input_[i]) continue;
      const std::string_view text = trim_blanks(fields[i]);
      Json& value = input[names_[i]];
      if (std::find(data.missing.begin(), data.missing.end(), text) != data.missing.end()) continue;
      const std::optional<Json> number = is_text_[i] ? std::nullopt : number_json(text);
      value = number ? *number : Json(text);
    }
    row.input = std::move(input);
    std::string_view answer = trim_blanks(fields[answer_]);
    if (!data.strip_label.empty() && answer.ends_with(data.strip_label))
      answer.remove_suffix(data.strip_label.size());
    TRY(set_answer(row, data.label.empty(), answer));
    if (group_) row.group = trim_blanks(fields[*group_]);
    if (time_) row.time = trim_blanks(fields[*time_]);
    if (weight_) {
      const std::optional<double> weight = parse_number(trim_blanks(fields[*weight_]));
      if (!weight || *weight < 0)
        return fail(ErrorCode::kParse, "expected a weight of at least 0, got '{}'", fields[*weight_]);
      row.weight = *weight;
    }
    return row;
  }

 private:
  std::vector<std::string> names_;
  std::vector<bool> is_input_, is_text_;
  size_t answer_ = 0;
  std::optional<size_t> group_, time_, weight_;
};

Status read_file_of(const TableData& data, const Path& path, const char* part, const RowSink& sink) {
  CsvReader reader = TRY(open_records(path, data.separator, data.columns.empty()));
  std::vector<std::string> names = data.columns.empty() ? reader.header() : data.columns;
  for (std::string& name : names) name = trim_blanks(name);
  const Columns columns = TRY(Columns::make(data, names, path));
  while (true) {
    const std::optional<CsvRecord> record = TRY(reader.next());
    if (!record) return {};
    const std::string place = fmt::format("{}:{}", path.string(), record->line);
    if (record->fields.size() != names.size())
      return fail(ErrorCode::kParse, "expected {} fields, one for each of 'columns', got {}", names.size(),
                  record->fields.size())
          .at(place);
    Result<TaskRow> row = columns.row(data, record->fields);
    if (!row) return std::move(row).error().at(place);
    row->id = fmt::format("{}:{}", path.filename().string(), record->line);
    TRY(sink(std::move(*row), part));
  }
}

Status read(const Json& data, const Path& base, const RowSink& sink) {
  const TableData table = TRY(parse_data(data, base));
  for (const RowFiles& files : table.files)
    for (const Path& path : files.paths) TRY(read_file_of(table, path, files.part, sink));
  return {};
}

Result<std::vector<Path>> files(const Json& data, const Path& base) {
  return all_paths(TRY(parse_data(data, base)).files);
}

Result<std::unique_ptr<InputEncoder>> learn(const Json& data, const Json&, const Path& base,
                                            std::span<const TaskRow> train) {
  return std::unique_ptr<InputEncoder>(TRY(TableEncoder::learn(TRY(parse_data(data, base)).options, train)));
}

Result<std::unique_ptr<InputEncoder>> load(const Path& folder) {
  return std::unique_ptr<InputEncoder>(TRY(TableEncoder::load(folder)));
}

}  // namespace

const Task kTableTask = {
    "table", "rows of a table into classes or numbers", read, files, learn, load, TableAugmenter::make};

}  // namespace volant
