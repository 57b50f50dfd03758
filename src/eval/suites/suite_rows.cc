#include "eval/suites/suite_rows.h"

#include <algorithm>
#include <set>

#include "io/csv.h"
#include "io/jsonl.h"

namespace volant {
namespace {

// Index of an answer given as "2" or "C"; -1 for anything else.
int32_t choice_index(std::string_view text, size_t n_choices) {
  if (text.size() != 1) return -1;
  int32_t index = -1;
  if (text[0] >= '0' && text[0] <= '9') index = text[0] - '0';
  if (text[0] >= 'A' && text[0] <= 'Z') index = text[0] - 'A';
  return index < static_cast<int32_t>(n_choices) ? index : -1;
}

// "high_school_biology" of "high_school_biology_test.csv".
std::string subject_of(const Path& path) {
  std::string name = path.stem().string();
  for (const std::string_view ending : {"_test", "_dev", "_val"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  return name;
}

Status read_mmlu_file(const Path& path, std::vector<SuiteRow>& rows) {
  CsvReader reader = TRY(CsvReader::open(path, {.separator = ',', .header = false}));
  const std::string subject = subject_of(path);
  int64_t number = 0;
  while (auto record = TRY(reader.next())) {
    std::vector<std::string>& fields = record->fields;
    if (fields.size() < 4 || fields.size() > kMaxChoices + 2)
      return fail(ErrorCode::kParse, "expected question, 2 to {} choices and answer, got {} fields",
                  kMaxChoices, fields.size())
          .at(fmt::format("{}:{}", path.string(), record->line));
    const int32_t answer = choice_index(fields.back(), fields.size() - 2);
    if (answer < 0 && number == 0 && fields.back() == "answer") continue;  // the header
    if (answer < 0)
      return fail(ErrorCode::kParse, "expected the answer as index or letter of a choice, got '{}'",
                  fields.back())
          .at(fmt::format("{}:{}", path.string(), record->line));
    SuiteRow row{.id = fmt::format("{}/{}", subject, number++), .group = subject};
    row.question = std::move(fields.front());
    row.choices.assign(std::make_move_iterator(fields.begin() + 1),
                       std::make_move_iterator(fields.end() - 1));
    row.answer = answer;
    rows.push_back(std::move(row));
  }
  return {};
}

Result<std::vector<std::string>> references_of(const Json& json) {
  std::vector<std::string> references;
  const Json* many = json_find(json, "answers");
  if (many == nullptr) {
    const Json* one = json_find(json, "answer");
    if (one != nullptr && one->is_number()) {
      references.push_back(dump_json(*one));
    } else {
      references.push_back(TRY(json_string(json, "answer")));
    }
    return references;
  }
  if (!many->is_array()) return fail(ErrorCode::kParse, "expected \"answers\" to be a list of texts");
  for (const Json& answer : many->get_array()) {
    if (!answer.is_string()) return fail(ErrorCode::kParse, "expected \"answers\" to be a list of texts");
    references.emplace_back(answer.get_string());
  }
  if (references.empty()) return fail(ErrorCode::kParse, "expected at least one text in \"answers\"");
  return references;
}

Status fill_choice(const Json& json, SuiteRow& row) {
  row.question = TRY(json_string(json, "question"));
  const Json* choices = json_find(json, "choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().size() < 2 ||
      choices->get_array().size() > kMaxChoices)
    return fail(ErrorCode::kParse, "expected \"choices\" to be a list of 2 to {} texts", kMaxChoices);
  for (const Json& choice : choices->get_array()) {
    if (!choice.is_string()) return fail(ErrorCode::kParse, "expected \"choices\" to be a list of texts");
    row.choices.emplace_back(choice.get_string());
  }
  const Json* answer = json_find(json, "answer");
  if (answer != nullptr && answer->is_string()) {
    row.answer = choice_index(std::string_view(answer->get_string()), row.choices.size());
  } else {
    const int64_t index = TRY(json_int(json, "answer"));
    row.answer =
        index >= 0 && index < static_cast<int64_t>(row.choices.size()) ? static_cast<int32_t>(index) : -1;
  }
  if (row.answer < 0)
    return fail(ErrorCode::kParse,
                "expected \"answer\" to be the index (from 0) or the letter of one of {} choices",
                row.choices.size());
  return {};
}

Status fill_number(const Json& json, SuiteRow& row) {
  row.question = TRY(json_string(json, "question"));
  const std::string answer = TRY(references_of(json)).front();
  const size_t mark = answer.rfind("####");
  row.references = {plain_number(mark == std::string::npos ? answer : answer.substr(mark + 4)), answer};
  if (row.references[0].empty())
    return fail(ErrorCode::kParse,
                "expected \"answer\" to be a number, or to end with '#### ' and one, got '{}'",
                answer.substr(0, 80));
  return {};
}

Status fill_code(const Json& json, SuiteRow& row) {
  row.question = TRY(json_string(json, "prompt"));
  row.test = TRY(json_string(json, "test"));
  row.entry_point = TRY(json_string(json, "entry_point"));
  if (row.id.empty()) row.id = TRY(json_string_or(json, "task_id", ""));
  row.references = {TRY(json_string_or(json, "canonical_solution", ""))};
  return {};
}

Status fill_safety(const Json& json, SuiteRow& row) {
  row.question = TRY(json_string(json, "prompt"));
  const std::string expect = TRY(json_string_or(json, "expect", "refuse"));
  if (expect != "refuse" && expect != "answer")
    return fail(ErrorCode::kParse, "expected \"expect\" to be \"refuse\" or \"answer\", got '{}'", expect);
  row.refuse = expect == "refuse";
  row.wraps = TRY(json_string_or(json, "wraps", ""));
  return {};
}

Status fill(const Json& json, SuiteKind kind, SuiteRow& row) {
  switch (kind) {
    case SuiteKind::kChoice:
      return fill_choice(json, row);
    case SuiteKind::kNumber:
      return fill_number(json, row);
    case SuiteKind::kCode:
      return fill_code(json, row);
    case SuiteKind::kReading:
      row.context = TRY(json_string(json, "context"));
      [[fallthrough]];
    case SuiteKind::kAnswer:
      row.question = TRY(json_string(json, "question"));
      row.references = TRY(references_of(json));
      return {};
    case SuiteKind::kText:
      row.references = TRY(references_of(json));
      row.question = TRY(json_string(json, "prompt"));
      return {};
    case SuiteKind::kSafety:
      return fill_safety(json, row);
  }
  return {};
}

Result<SuiteRow> row_of(const Json& json, SuiteKind kind) {
  SuiteRow row;
  if (const Json* id = json_find(json, "id"); id != nullptr)
    row.id = id->is_string() ? std::string(id->get_string()) : dump_json(*id);
  row.group = TRY(json_string_or(json, "group", ""));
  if (row.group.empty()) row.group = TRY(json_string_or(json, "subject", ""));
  TRY(fill(json, kind, row));
  return row;
}

Status check_wraps(const std::vector<SuiteRow>& rows) {
  std::set<std::string_view> ids;
  for (const SuiteRow& row : rows) ids.insert(row.id);
  for (const SuiteRow& row : rows)
    if (!row.wraps.empty() && !ids.contains(row.wraps))
      return fail(ErrorCode::kParse, "row '{}' wraps '{}', but there is no such row", row.id, row.wraps);
  return {};
}

const JsonArray* array_at(const Json& json, const char* key) {
  const Json* found = json_find(json, key);
  return found != nullptr && found->is_array() ? &found->get_array() : nullptr;
}

Status read_paragraph(const Json& paragraph, const std::string& group, std::vector<SuiteRow>& rows) {
  const std::string context = TRY(json_string(paragraph, "context"));
  const JsonArray* questions = array_at(paragraph, "qas");
  if (questions == nullptr) return fail(ErrorCode::kParse, "expected a list \"qas\" in every paragraph");
  for (const Json& question : *questions) {
    SuiteRow row{.id = TRY(json_string(question, "id")), .group = group};
    row.question = TRY(json_string(question, "question"));
    row.context = context;
    const JsonArray* answers = array_at(question, "answers");
    if (answers == nullptr || answers->empty())
      return fail(ErrorCode::kUnsupported,
                  "question '{}' has no answer; questions without one are not scored here", row.id);
    for (const Json& answer : *answers) row.references.push_back(TRY(json_string(answer, "text")));
    rows.push_back(std::move(row));
  }
  return {};
}

}  // namespace

std::string plain_number(std::string_view text) {
  std::string number;
  bool point = false, digit = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digit = true;
      number += c;
    } else if (c == '.' && !point && digit) {
      point = true;
      number += c;
    } else if (c == '-' && number.empty()) {
      number += c;
    } else if (digit && c != ',') {
      break;
    }
  }
  if (!digit) return {};
  if (point) {
    while (number.back() == '0') number.pop_back();
    if (number.back() == '.') number.pop_back();
  }
  const size_t first = number[0] == '-' ? 1 : 0;
  while (first + 1 < number.size() && number[first] == '0' && number[first + 1] != '.')
    number.erase(first, 1);
  return number == "-0" ? "0" : number;
}

Result<std::vector<SuiteRow>> read_mmlu(const Path& path) {
  std::vector<SuiteRow> rows;
  if (!std::filesystem::is_directory(path)) {
    TRY(read_mmlu_file(path, rows));
    return rows;
  }
  const Path folder = std::filesystem::is_directory(path / "test") ? path / "test" : path;
  const std::vector<Path> files = TRY(glob((folder / "*.csv").string()));
  if (files.empty())
    return fail(ErrorCode::kNotFound, "expected files like anatomy_test.csv, found none").at(folder.string());
  for (const Path& file : files) TRY(read_mmlu_file(file, rows));
  return rows;
}

Result<std::vector<SuiteRow>> read_squad(const Path& path) {
  Result<Json> parsed = parse_json(TRY(read_file(path)));
  if (!parsed) return std::move(parsed).error().at(path.string());
  const Json& json = *parsed;
  const JsonArray* articles = array_at(json, "data");
  if (articles == nullptr)
    return fail(ErrorCode::kParse, "expected a list \"data\" as in SQuAD 1.1").at(path.string());
  std::vector<SuiteRow> rows;
  int64_t number = 0;
  for (const Json& article : *articles) {
    const JsonArray* paragraphs = array_at(article, "paragraphs");
    if (paragraphs == nullptr)
      return fail(ErrorCode::kParse, "expected a list \"paragraphs\" in every article").at(path.string());
    for (const Json& paragraph : *paragraphs) {
      Status read = read_paragraph(paragraph, fmt::format("paragraph {}", number++), rows);
      if (!read) return std::move(read).error().at(path.string());
    }
  }
  return rows;
}

Result<std::vector<SuiteRow>> read_suite_jsonl(const Path& path, SuiteKind kind) {
  JsonlReader reader = TRY(JsonlReader::open(path));
  std::vector<SuiteRow> rows;
  while (const auto json = TRY(reader.next())) {
    Result<SuiteRow> row = row_of(*json, kind);
    if (!row) return std::move(row).error().at(fmt::format("{}:{}", path.string(), reader.line()));
    if (row->id.empty()) row->id = fmt::format("{}", rows.size());
    rows.push_back(std::move(row).value());
    if (rows.size() > kMaxSuiteRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxSuiteRows).at(path.string());
  }
  Status checked = check_wraps(rows);
  if (!checked) return std::move(checked).error().at(path.string());
  return rows;
}

}  // namespace volant
