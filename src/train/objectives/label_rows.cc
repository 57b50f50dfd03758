#include "train/objectives/label_rows.h"

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "io/csv.h"
#include "io/jsonl.h"

namespace volant {
namespace {

constexpr size_t kMaxRows = 1 << 22;

Result<std::string> label_of(const Json& value) {
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_int64() || value.is_uint64() || value.is_bool()) return dump_json(value);
  return fail(ErrorCode::kParse, "expected a label: a text, a whole number, true or false");
}

Result<LabelRow> row_of(const Json& json) {
  LabelRow row;
  const Json *words = json_find(json, "tokens"), *tags = json_find(json, "tags");
  if (words != nullptr || tags != nullptr) {
    if (words == nullptr || tags == nullptr || !words->is_array() || !tags->is_array() ||
        words->as_array().empty() || words->as_array().size() != tags->as_array().size())
      return fail(ErrorCode::kParse, "expected 'tokens' and 'tags', two lists of one length");
    for (const Json& word : words->as_array()) {
      if (!word.is_string()) return fail(ErrorCode::kParse, "'tokens': expected texts");
      row.words.emplace_back(word.as_string());
    }
    for (const Json& tag : tags->as_array()) row.labels.push_back(TRY(label_of(tag)));
    return row;
  }
  row.text = TRY(json_string(json, "text"));
  if (json_find(json, "text_pair") != nullptr) row.pair = TRY(json_string(json, "text_pair"));
  const Json* label = json_find(json, "label");
  if (label == nullptr) return fail(ErrorCode::kParse, "expected a field 'label'");
  row.labels.push_back(TRY(label_of(*label)));
  return row;
}

Result<std::vector<LabelRow>> read_csv(const Path& file) {
  CsvReader reader = TRY(CsvReader::open(file));
  const size_t text = TRY(reader.column("text")), label = TRY(reader.column("label"));
  const auto& header = reader.header();
  const auto pair = std::find(header.begin(), header.end(), "text_pair");
  std::vector<LabelRow> rows;
  while (true) {
    std::optional<CsvRecord> record = TRY(reader.next());
    if (!record) return rows;
    if (rows.size() == kMaxRows) return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows);
    LabelRow row;
    row.text = record->fields[text];
    row.labels = {record->fields[label]};
    if (pair != header.end()) row.pair = record->fields[static_cast<size_t>(pair - header.begin())];
    row.place = fmt::format("{}:{}", file.string(), record->line);
    rows.push_back(std::move(row));
  }
}

Result<std::vector<LabelRow>> read_jsonl_rows(const Path& file) {
  JsonlReader reader = TRY(JsonlReader::open(file));
  std::vector<LabelRow> rows;
  while (true) {
    const std::optional<Json> json = TRY(reader.next());
    if (!json) return rows;
    if (rows.size() == kMaxRows) return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows);
    auto row = row_of(*json);
    std::string place = fmt::format("{}:{}", file.string(), reader.line());
    if (!row) return std::move(row).error().at(place);
    row->place = std::move(place);
    rows.push_back(std::move(*row));
  }
}

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

size_t code_points(std::string_view utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Words side by side; the first token that begins inside a word has its label.
Result<LabelExample> word_example(const LabelRow& row, std::span<const int32_t> ids,
                                  const Tokenizer& tokenizer, int64_t max_tokens) {
  std::string text;
  std::vector<size_t> ends;  // code points
  size_t n = 0;
  for (const std::string& word : row.words) {
    text += (text.empty() ? "" : " ") + word;
    n += (ends.empty() ? 0 : 1) + code_points(word);
    ends.push_back(n);
  }
  EncodingOptions options;
  options.parse_special = false;
  options.truncation = Truncation{.max_length = static_cast<uint32_t>(max_tokens)};
  Encoding encoding = TRY(tokenizer.encode_with_offsets({.text = text, .pair = std::nullopt}, options));
  LabelExample example;
  size_t word = 0;  // the first one without a token
  for (size_t t = 0; t < encoding.size() && word < ends.size(); ++t) {
    if (encoding.special[t] != 0 || encoding.offsets[t].end <= encoding.offsets[t].begin) continue;
    // A token may begin with the blank before its word.
    const size_t last = encoding.offsets[t].end;
    while (word < ends.size() && last > ends[word]) ++word;
    const size_t begin = word == 0 ? 0 : ends[word - 1] + 1;
    if (word == ends.size() || last <= begin) continue;
    example.rows.push_back(static_cast<int32_t>(t));
    example.labels.push_back(ids[word]);
    ++word;
  }
  example.text = {std::move(encoding.ids), std::move(encoding.type_ids)};
  if (example.text.ids.empty()) return fail(ErrorCode::kInvalidArgument, "expected words, got nothing");
  return example;
}

}  // namespace

Result<std::vector<LabelRow>> read_label_rows(const Path& file) {
  const std::string name = file.filename().string();
  const bool csv = name.find(".csv") != std::string::npos || name.find(".tsv") != std::string::npos;
  std::vector<LabelRow> rows = TRY(csv ? read_csv(file) : read_jsonl_rows(file));
  if (rows.empty()) return fail(ErrorCode::kInvalidArgument, "expected rows, got none").at(file.string());
  for (const LabelRow& row : rows)
    if (row.words.empty() != rows.front().words.empty())
      return fail(ErrorCode::kInvalidArgument, "expected rows with 'text' or rows with 'tokens', got both")
          .at(row.place);
  return rows;
}

std::vector<std::string> label_names(const std::vector<LabelRow>& rows) {
  std::set<std::string> found;
  for (const LabelRow& row : rows) found.insert(row.labels.begin(), row.labels.end());
  return ordered_labels(found);
}

std::vector<std::string> ordered_labels(const std::set<std::string>& found) {
  std::vector<std::string> names(found.begin(), found.end());
  if (std::all_of(names.begin(), names.end(),
                  [](const auto& name) { return whole_number(name).has_value(); }))
    std::sort(names.begin(), names.end(),
              [](const auto& a, const auto& b) { return *whole_number(a) < *whole_number(b); });
  return names;
}

Result<LabelExample> label_example(const LabelRow& row, const std::vector<std::string>& names,
                                   const Tokenizer& tokenizer, bool at_last_row, int64_t max_tokens) {
  const auto make = [&]() -> Result<LabelExample> {
    std::vector<int32_t> ids;
    for (const std::string& label : row.labels) {
      const auto found = std::find(names.begin(), names.end(), label);
      if (found == names.end())
        return fail(ErrorCode::kInvalidArgument, "the model has no label '{}'{}", label,
                    did_you_mean(label, names));
      ids.push_back(static_cast<int32_t>(found - names.begin()));
    }
    if (!row.words.empty()) return word_example(row, ids, tokenizer, max_tokens);
    LabelExample example{
        .text = TRY(encode_text(tokenizer, row.text, row.pair, max_tokens)), .rows = {}, .labels = ids};
    example.rows = {at_last_row ? static_cast<int32_t>(example.text.ids.size()) - 1 : 0};
    return example;
  };
  auto example = make();
  if (!example) return std::move(example).error().at(row.place);
  return example;
}

}  // namespace volant
