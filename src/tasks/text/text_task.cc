#include "tasks/text/text_task.h"

#include <algorithm>

#include "io/jsonl.h"
#include "tasks/row_files.h"
#include "tasks/text/text_augmenter.h"
#include "tasks/text/text_encoder.h"
#include "text/charset.h"
#include "text/unicode.h"
#include "text/wordpiece_trainer.h"

namespace volant {
namespace {

constexpr uint64_t kMaxFileBytes = 2ULL << 30;
constexpr std::string_view kFastTextMark = "__label__";

struct TextData {
  std::vector<RowFiles> files;
  std::string text, text_pair, answer, group, time;  // columns
  bool is_number = false, header = true;
  char separator = 0;
  TextOptions encoder;
  bool has_max_length = false;
  WordPieceTrainOptions vocabulary;
};

Result<TextData> parse_data(const Json& data, const Path& base) {
  Settings settings(data, "data");
  TextData out;
  out.files = take_row_files(settings, base);
  out.header = settings.flag("has_header", true);
  out.text = settings.column("text", out.header ? "text" : "0");
  out.text_pair = settings.column("text_pair");
  const std::string label = settings.column("label"), target = settings.column("target");
  if (!label.empty() && !target.empty())
    settings.fails(fail(ErrorCode::kInvalidArgument, "expected 'label' or 'target' in [data], got both"));
  out.is_number = !target.empty();
  out.answer = !target.empty() ? target : !label.empty() ? label : out.header ? "label" : "1";
  out.group = settings.column("group");
  out.time = settings.column("time");
  const std::string delimiter = settings.text("delimiter");
  if (delimiter.size() > 1)
    settings.fails(fail(ErrorCode::kInvalidArgument,
                        "expected 'delimiter' in [data] to be one character, got \"{}\"", delimiter));
  out.has_max_length = json_find(data, "max_length") != nullptr;
  out.encoder.max_length = settings.integer("max_length", out.encoder.max_length, 4, 1 << 20);
  out.encoder.segment = settings.choice("segment", {"none", "icu"}) == "icu";
  out.encoder.pairs = !out.text_pair.empty();
  out.vocabulary.vocab_size = settings.integer("vocab_size", out.vocabulary.vocab_size, 100, 262'144);
  out.vocabulary.min_count = settings.integer("min_count", out.vocabulary.min_count, 1, 1'000'000);
  out.vocabulary.lowercase = settings.flag("lowercase", true);
  out.vocabulary.split_han = !out.encoder.segment;
  TRY(settings.finish());
  if (!delimiter.empty()) out.separator = delimiter[0];
  return out;
}

// Which field of a record is what.
struct TextColumns {
  size_t text = 0, answer = 0;
  std::optional<size_t> pair, group, time;
};

Result<size_t> column_of(const CsvReader& reader, const TextData& data, const std::string& name) {
  if (data.header) {
    if (Result<size_t> found = reader.column(name)) return found;
  }
  const std::optional<double> number = parse_number(name);
  if (number && *number >= 0 && *number < 100'000 && name.find('.') == std::string::npos)
    return static_cast<size_t>(*number);
  if (data.header) return reader.column(name);
  return fail(ErrorCode::kInvalidArgument,
              "expected the number of a column, from 0, as the file has no header, got '{}'", name);
}

Result<TextColumns> columns_of(const CsvReader& reader, const TextData& data) {
  TextColumns out;
  out.text = TRY(column_of(reader, data, data.text));
  out.answer = TRY(column_of(reader, data, data.answer));
  if (!data.text_pair.empty()) out.pair = TRY(column_of(reader, data, data.text_pair));
  if (!data.group.empty()) out.group = TRY(column_of(reader, data, data.group));
  if (!data.time.empty()) out.time = TRY(column_of(reader, data, data.time));
  return out;
}

Json input_of(std::string_view text, std::optional<std::string_view> pair) {
  JsonObject input{{"text", text}};
  if (pair) input["text_pair"] = *pair;
  return input;
}

class FileRows {
 public:
  FileRows(const TextData& data, const Path& path, const char* part, const RowSink& sink)
      : data_(data), path_(path), part_(part), sink_(sink) {}

  Status read() const {
    const std::string ending = ending_of(path_);
    if (ending == ".csv" || ending == ".tsv" || ending == ".tab") return read_records();
    if (ending == ".jsonl") return read_jsonl_rows();
    if (ending == ".txt") return read_lines();
    return fail(ErrorCode::kInvalidArgument, "expected a .csv, .tsv, .jsonl or .txt file (also .gz, .zst)")
        .at(path_.string());
  }

 private:
  Status give(TaskRow row, uint64_t line) const {
    if (row.id.empty()) row.id = fmt::format("{}:{}", path_.filename().string(), line);
    return sink_(std::move(row), part_);
  }
  Error at_line(Error error, uint64_t line) const {
    return std::move(error).at(fmt::format("{}:{}", path_.string(), line));
  }

  Status read_records() const {
    CsvReader reader = TRY(open_records(path_, data_.separator, data_.header));
    const TextColumns columns = TRY(columns_of(reader, data_));
    const size_t n_needed = std::max({columns.text, columns.answer, columns.pair.value_or(0),
                                      columns.group.value_or(0), columns.time.value_or(0)}) +
                            1;
    while (const std::optional<CsvRecord> record = TRY(reader.next())) {
      const std::vector<std::string>& fields = record->fields;
      if (fields.size() < n_needed)
        return at_line(
            fail(ErrorCode::kParse, "expected at least {} fields, got {}", n_needed, fields.size()),
            record->line);
      TaskRow row;
      row.input = input_of(trim_blanks(fields[columns.text]),
                           columns.pair ? std::optional(trim_blanks(fields[*columns.pair])) : std::nullopt);
      if (Status status = set_answer(row, data_.is_number, trim_blanks(fields[columns.answer])); !status)
        return at_line(std::move(status).error(), record->line);
      if (columns.group) row.group = trim_blanks(fields[*columns.group]);
      if (columns.time) row.time = trim_blanks(fields[*columns.time]);
      TRY(give(std::move(row), record->line));
    }
    return {};
  }

  // Rows of this house ("input" is an object) or any others with the fields that [data] names.
  Result<TaskRow> row_of(const Json& json) const {
    if (const Json* input = json_find(json, "input"); input != nullptr && input->is_object())
      return parse_task_row(json);
    TaskRow row;
    const std::string text = TRY(json_string(json, data_.text));
    std::optional<std::string> pair;
    if (!data_.text_pair.empty()) pair = TRY(json_string(json, data_.text_pair));
    row.input = input_of(text, pair);
    const Json* answer = json_find(json, data_.answer);
    if (answer == nullptr) return fail(ErrorCode::kParse, "expected a field '{}'", data_.answer);
    const bool simple = answer->is_string() || answer->is_number() || answer->is_bool();
    if (!simple) return fail(ErrorCode::kParse, "expected '{}' to be a text or a number", data_.answer);
    TRY(set_answer(row, data_.is_number,
                   answer->is_string() ? std::string(answer->get_string()) : dump_json(*answer)));
    if (!data_.group.empty()) row.group = TRY(json_string(json, data_.group));
    if (!data_.time.empty()) row.time = TRY(json_string(json, data_.time));
    return row;
  }

  Status read_jsonl_rows() const {
    JsonlReader reader = TRY(JsonlReader::open(path_));
    while (const std::optional<Json> json = TRY(reader.next())) {
      Result<TaskRow> row = row_of(*json);
      if (!row) return at_line(std::move(row).error(), reader.line());
      TRY(give(std::move(*row), reader.line()));
    }
    return {};
  }

  // As fastText has them: "__label__positive A fine film."
  Status read_lines() const {
    const std::string bytes = TRY(read_content(path_, kMaxFileBytes));
    Result<DecodedText> decoded = decode_text(bytes);
    if (!decoded) return std::move(decoded).error().at(path_.string());
    LineReader lines = LineReader::from_text(std::move(decoded->text), path_.string());
    while (const std::optional<std::string_view> line = TRY(lines.next())) {
      const std::string_view text = trim_blanks(*line);
      if (text.empty()) continue;
      const size_t blank = std::min(text.find_first_of(" \t"), text.size());
      if (!text.starts_with(kFastTextMark))
        return fail(ErrorCode::kParse, "expected a line of '{}LABEL', a blank and the text", kFastTextMark)
            .at(lines.place());
      TaskRow row;
      row.input = input_of(trim_blanks(text.substr(blank)), std::nullopt);
      if (Status status = set_answer(row, data_.is_number,
                                     text.substr(kFastTextMark.size(), blank - kFastTextMark.size()));
          !status)
        return std::move(status).error().at(lines.place());
      TRY(give(std::move(row), lines.line()));
    }
    return {};
  }

  const TextData& data_;
  const Path& path_;
  const char* part_;
  const RowSink& sink_;
};

Status read(const Json& data, const Path& base, const RowSink& sink) {
  const TextData texts = TRY(parse_data(data, base));
  for (const RowFiles& files : texts.files)
    for (const Path& path : files.paths) TRY(FileRows(texts, path, files.part, sink).read());
  return {};
}

Result<std::vector<Path>> files(const Json& data, const Path& base) {
  return all_paths(TRY(parse_data(data, base)).files);
}

// The positions that a configuration says a model has; 0 when it does not say.
Result<int64_t> positions_of(const Json& config) {
  return json_int_or(config, "max_position_embeddings", TRY(json_int_or(config, "n_positions", 0)));
}

Result<int64_t> positions_of_folder(const Path& folder) {
  const std::string text = TRY(read_file(folder / "config.json"));
  return positions_of(TRY(parse_json(text)));
}

Result<std::unique_ptr<Tokenizer>> learn_tokenizer(const TextData& data, std::span<const TaskRow> train) {
  std::vector<std::string> texts;
  for (const TaskRow& row : train)
    for (const char* field : {"text", "text_pair"})
      if (const Json* value = json_find(row.input, field); value != nullptr && value->is_string()) {
        const std::string_view text = value->get_string();
        texts.push_back(data.encoder.segment ? separate_words(to_valid_utf8(text)) : std::string(text));
      }
  if (texts.empty())
    return fail(ErrorCode::kInvalidArgument, "there are no training texts to learn a vocabulary from");
  return train_wordpiece(texts, data.vocabulary);
}

Result<std::unique_ptr<InputEncoder>> learn(const Json& data, const Json& model, const Path& base,
                                            std::span<const TaskRow> train) {
  TextData texts = TRY(parse_data(data, base));
  const std::string init_from = TRY(json_string_or(model, "init_from", ""));
  const int64_t positions =
      TRY(init_from.empty() ? positions_of(model) : positions_of_folder(base / init_from));
  if (positions > 0 && texts.encoder.max_length > positions) {
    if (texts.has_max_length)
      return fail(ErrorCode::kInvalidArgument, "'max_length' in [data] is {}, but the model has {} positions",
                  texts.encoder.max_length, positions);
    texts.encoder.max_length = positions;
  }
  if (init_from.empty())
    return std::unique_ptr<InputEncoder>(
        TRY(TextEncoder::make(TRY(learn_tokenizer(texts, train)), texts.encoder)));
  for (const char* key : {"vocab_size", "min_count", "lowercase"})
    if (json_find(data, key) != nullptr)
      return fail(
          ErrorCode::kInvalidArgument,
          "'{}' in [data] is of a vocabulary that is learned here, but [model] init_from brings its own",
          key);
  return std::unique_ptr<InputEncoder>(
      TRY(TextEncoder::make(TRY(load_tokenizer(base / init_from)), texts.encoder)));
}

Result<std::unique_ptr<InputEncoder>> load(const Path& folder) {
  return std::unique_ptr<InputEncoder>(TRY(TextEncoder::load(folder)));
}

}  // namespace

const Task kTextTask = {
    "text", "texts into classes or numbers", read, files, learn, load, TextAugmenter::make};

}  // namespace volant
