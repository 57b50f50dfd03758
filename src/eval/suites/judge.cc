#include "eval/suites/judge.h"

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/stop.h"
#include "eval/bootstrap.h"
#include "eval/metrics/classification.h"
#include "eval/significance.h"
#include "io/http_client.h"
#include "io/jsonl.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kShownRows = 40;  // of a page

Result<std::optional<int32_t>> human_label(const Json& json, bool pair) {
  const Json* human = json_find(json, "human");
  if (human == nullptr) return std::optional<int32_t>{};
  if (!pair) {
    if (human->is_bool()) return std::optional<int32_t>(human->get_bool() ? 1 : 0);
    return fail(ErrorCode::kParse, "expected \"human\" to be true or false");
  }
  const std::string name = TRY(json_string(json, "human"));
  if (name == "tie") return std::optional<int32_t>(0);
  if (name == "a") return std::optional<int32_t>(1);
  if (name == "b") return std::optional<int32_t>(2);
  return fail(ErrorCode::kParse, "expected \"human\" to be \"a\", \"b\" or \"tie\", got '{}'", name);
}

Result<JudgeRow> row_of(const Json& json) {
  const bool pair = json_find(json, "answer_a") != nullptr;
  JudgeRow row{.id = TRY(json_string_or(json, "id", ""))};
  row.question = TRY(json_string(json, "question"));
  row.reference = TRY(json_string_or(json, "reference", ""));
  if (pair) {
    row.answers = {TRY(json_string(json, "answer_a")), TRY(json_string(json, "answer_b"))};
  } else {
    row.answers = {TRY(json_string(json, "answer"))};
  }
  row.human = TRY(human_label(json, pair));
  return row;
}

std::string request_text(const JudgeRow& row, bool swapped) {
  std::string text = "[Question]\n" + row.question + "\n\n";
  if (!row.reference.empty()) text += "[Reference answer]\n" + row.reference + "\n\n";
  if (row.answers.size() == 1) {
    return text + "[Answer]\n" + row.answers[0] +
           "\n\nIs the answer correct? Think briefly, then end with one line: \"VERDICT: YES\" or \"VERDICT: NO\".";
  }
  return text + "[Answer A]\n" + row.answers[swapped ? 1 : 0] + "\n\n[Answer B]\n" +
         row.answers[swapped ? 0 : 1] +
         "\n\nWhich answer is better? Think briefly, then end with one line: \"VERDICT: A\", \"VERDICT: B\" or "
         "\"VERDICT: TIE\".";
}

Error refused(const HttpReply& response) {
  std::string said = response.body.substr(0, 300);
  if (const Result<Json> json = parse_json(response.body)) {
    if (const Json* error = json_find(*json, "error"); error != nullptr)
      said = json_string_or(*error, "message", said).value_or(std::move(said));
  }
  const ErrorCode code = response.status == 401   ? ErrorCode::kUnauthorized
                         : response.status == 403 ? ErrorCode::kForbidden
                         : response.status == 404 ? ErrorCode::kNotFound
                         : response.status == 429 ? ErrorCode::kLimit
                         : response.status >= 500 ? ErrorCode::kUnavailable
                                                  : ErrorCode::kInvalidArgument;
  return fail(code, "the judge's endpoint answered {}: {}", response.status, said);
}

Result<std::string> ask(const JudgeRow& row, bool swapped, const JudgeOptions& options) {
  const Json body = JsonObject{
      {"model", options.model},
      {"temperature", 0},
      {"max_tokens", options.max_tokens},
      {"messages", JsonArray{JsonObject{{"role", "user"}, {"content", request_text(row, swapped)}}}}};
  HttpCall request{.url = options.url + "/chat/completions", .body = dump_json(body)};
  request.headers = {"Content-Type: application/json"};
  if (!options.api_key.empty()) request.headers.push_back("Authorization: Bearer " + options.api_key);
  request.timeout_seconds = options.timeout_seconds;
  const HttpReply response = TRY(http_request(request));
  if (response.status != 200) return refused(response).at(request.url);
  const Json json = TRY(parse_json(response.body));
  const Json* choices = json_find(json, "choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().empty())
    return fail(ErrorCode::kParse, "expected an answer with \"choices\"").at(request.url);
  const Json* message = json_find(choices->get_array()[0], "message");
  if (message == nullptr)
    return fail(ErrorCode::kParse, "expected a \"message\" in the answer").at(request.url);
  return json_string_or(*message, "content", "");
}

Result<JudgeVerdict> verdict_of(const JudgeRow& row, const JudgeOptions& options) {
  const bool pair = row.answers.size() == 2;
  JudgeVerdict verdict{.said = TRY(ask(row, false, options))};
  verdict.verdict = verdict_in(verdict.said, pair);
  if (!pair || !verdict.verdict) return verdict;
  const std::optional<int32_t> swapped = verdict_in(TRY(ask(row, true, options)), pair);
  if (!swapped) {
    verdict.verdict.reset();
  } else if (*verdict.verdict != (*swapped == 0 ? 0 : 3 - *swapped)) {
    verdict.verdict = 0;
  }
  return verdict;
}

const char* verdict_name(int32_t verdict, bool pair) {
  constexpr std::array kSingle{"no", "yes"};
  constexpr std::array kPair{"tie", "a", "b"};
  return pair ? kPair[static_cast<size_t>(verdict)] : kSingle[static_cast<size_t>(verdict)];
}

}  // namespace

Result<std::vector<JudgeRow>> read_judge_rows(const std::string& path) {
  JsonlReader reader = TRY(JsonlReader::open(path));
  std::vector<JudgeRow> rows;
  while (const auto json = TRY(reader.next())) {
    Result<JudgeRow> row = row_of(*json);
    const std::string where = fmt::format("{}:{}", path, reader.line());
    if (!row) return std::move(row).error().at(where);
    if (!rows.empty() && row->answers.size() != rows[0].answers.size())
      return fail(ErrorCode::kParse, "expected rows of one kind: single answers or pairs, not both")
          .at(where);
    if (row->id.empty()) row->id = fmt::format("{}", rows.size());
    rows.push_back(std::move(row).value());
  }
  if (rows.empty())
    return fail(ErrorCode::kInvalidArgument, "expected at least one row, found none").at(path);
  return rows;
}

std::optional<int32_t> verdict_in(std::string_view words, bool pair) {
  constexpr std::array<std::string_view, 2> kSingle{"NO", "YES"};
  constexpr std::array<std::string_view, 3> kPair{"TIE", "A", "B"};
  const std::span<const std::string_view> names = pair ? std::span<const std::string_view>(kPair) : kSingle;
  const std::string upper = to_upper(words);
  const size_t mark = upper.rfind("VERDICT");
  const auto letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  size_t at = mark == std::string::npos ? 0 : mark + 7;
  while (at < upper.size() && !letter(upper[at])) ++at;
  size_t end = at;
  while (end < upper.size() && letter(upper[end])) ++end;
  const std::string_view word = std::string_view(upper).substr(at, end - at);
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == word) return static_cast<int32_t>(i);
  }
  return {};
}

Status measure_agreement(JudgeReport& report) {
  std::vector<int32_t> human, judged;
  int64_t readable = 0, first = 0;
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const std::optional<int32_t> verdict = report.verdicts[i].verdict;
    if (!verdict) continue;
    ++readable;
    first += *verdict == 1 ? 1 : 0;
    if (!report.rows[i].human) continue;
    human.push_back(*report.rows[i].human);
    judged.push_back(*verdict);
  }
  report.unreadable = static_cast<int64_t>(report.rows.size()) - readable;
  report.compared = static_cast<int64_t>(human.size());
  if (readable == 0)
    return fail(
        ErrorCode::kInvalidArgument,
        "none of {} verdicts could be read: the judge must end with a line like \"VERDICT: YES\"; it said: {}",
        report.rows.size(), report.verdicts.empty() ? "" : report.verdicts[0].said.substr(0, 200));
  report.right_share = TRY(share_estimate(first, readable));
  if (human.size() < 2) return {};
  constexpr int32_t kLabels = 3;
  const auto matrix_of = [&](std::span<const size_t> rows) {
    std::vector<int32_t> a, b;
    for (const size_t row : rows) {
      a.push_back(human[row]);
      b.push_back(judged[row]);
    }
    return ConfusionMatrix::of(a, b, kLabels);
  };
  int64_t equal = 0;
  for (size_t i = 0; i < human.size(); ++i) equal += human[i] == judged[i] ? 1 : 0;
  report.accuracy = TRY(share_estimate(equal, report.compared));
  const Estimate kappa = TRY(bootstrap(human.size(), [&](std::span<const size_t> rows) -> Result<double> {
    return TRY(matrix_of(rows)).cohen_kappa();
  }));
  if (kappa.low < kappa.high) report.kappa = kappa;  // else every sample was alike, which proves nothing
  return {};
}

Result<JudgeReport> judge(const std::vector<JudgeRow>& rows, const JudgeOptions& options) {
  JudgeReport report{.rows = rows};
  for (const JudgeRow& row : rows) {
    if (stop_requested())
      return fail(ErrorCode::kCancelled, "stopped after {} of {} rows", report.verdicts.size(), rows.size());
    report.verdicts.push_back(TRY(verdict_of(row, options)));
    if (options.on_progress) options.on_progress(report.verdicts.size(), rows.size());
  }
  TRY(measure_agreement(report));
  return report;
}

Json to_json(const JudgeReport& report) {
  JsonArray verdicts;
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const JudgeRow& row = report.rows[i];
    const bool pair = row.answers.size() == 2;
    const JudgeVerdict& verdict = report.verdicts[i];
    JsonObject json{{"id", row.id}};
    json["verdict"] = verdict.verdict ? Json(verdict_name(*verdict.verdict, pair)) : Json(nullptr);
    if (row.human) json["human"] = verdict_name(*row.human, pair);
    json["said"] = verdict.said;
    verdicts.push_back(std::move(json));
  }
  JsonObject json{{"rows", report.rows.size()},
                  {"unreadable", report.unreadable},
                  {"compared", report.compared},
                  {"right_share", to_json(report.right_share)}};
  if (report.accuracy) json["accuracy"] = to_json(*report.accuracy);
  if (report.kappa) json["kappa"] = to_json(*report.kappa);
  json["verdicts"] = std::move(verdicts);
  return json;
}

EvalReport page_of(const JudgeReport& report, const std::string& judge) {
  const bool pair = !report.rows.empty() && report.rows[0].answers.size() == 2;
  EvalReport page{.title = judge + " as judge", .model = judge, .created_at = now_iso8601()};
  page.rows = std::ssize(report.rows);
  page.figures.push_back({pair ? "first_answer_preferred" : "judged_right", report.right_share, true,
                          page.rows - report.unreadable});
  if (report.accuracy)
    page.figures.push_back({"agreement_with_people", *report.accuracy, true, report.compared});
  if (report.kappa) page.figures.push_back({"kappa", *report.kappa, true, report.compared});
  page.notes.push_back(
      fmt::format("{} of {} verdicts could not be read; {} rows have a human label beside one.",
                  report.unreadable, page.rows, report.compared));
  if (!report.accuracy)
    page.notes.emplace_back("Without rows that people judged too, this is only an opinion.");
  else if (!report.kappa)
    page.notes.emplace_back("Cohen's kappa is left out: the rows are too few or too alike for an interval.");
  const auto shown = [&](size_t i) {
    const JudgeRow& row = report.rows[i];
    const JudgeVerdict& verdict = report.verdicts[i];
    const bool agrees = verdict.verdict && (!row.human || *verdict.verdict == *row.human);
    std::string asked = row.question;
    for (const std::string& answer : row.answers) asked += "\n- " + answer;
    page.examples.push_back({row.id, std::move(asked), verdict.said,
                             row.human ? verdict_name(*row.human, pair) : "", agrees ? 1.0 : 0.0});
  };
  for (const bool agreeing : {false, true})
    for (size_t i = 0; i < report.rows.size() && page.examples.size() < kShownRows; ++i) {
      const std::optional<int32_t>& verdict = report.verdicts[i].verdict;
      if ((verdict && (!report.rows[i].human || *verdict == *report.rows[i].human)) == agreeing) shown(i);
    }
  return page;
}

}  // namespace volant
