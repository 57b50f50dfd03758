#include "wheel/held_out.h"

#include <algorithm>

#include "io/jsonl.h"

namespace volant {
std::string row_text(const Json& row) {
  if (const Json* messages = json_find(row, "messages"); messages != nullptr && messages->is_array()) {
    std::string text;
    for (const Json& message : messages->as_array()) {
      text += (text.empty() ? "" : "\n\n") + json_string_or(message, "content", "").value_or("");
    }
    return text;
  }
  return json_string_or(row, "text", "").value_or("");
}

Result<std::vector<EvalDocument>> read_documents(const Path& rows, int64_t limit) {
  struct Found {
    std::string id;
    EvalDocument document;
  };
  std::vector<Found> found;
  JsonlReader reader = TRY(JsonlReader::open(rows));
  while (auto row = TRY(reader.next())) {
    EvalDocument document{row_text(*row), json_string_or(*row, "lang", "").value_or("")};
    if (document.text.empty()) continue;
    found.push_back({json_string_or(*row, "id", "").value_or(""), std::move(document)});
  }
  // Ids are digests, so their order is a fixed shuffle.
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.id < b.id; });
  if (found.size() > static_cast<size_t>(limit)) found.resize(static_cast<size_t>(limit));
  std::vector<EvalDocument> documents;
  documents.reserve(found.size());
  for (Found& one : found) documents.push_back(std::move(one.document));
  return documents;
}

Result<std::vector<std::string>> read_texts(const Path& rows, uint64_t max_bytes) {
  std::vector<std::string> texts;
  uint64_t bytes = 0;
  JsonlReader reader = TRY(JsonlReader::open(rows));
  while (auto row = TRY(reader.next())) {
    texts.push_back(row_text(*row));
    bytes += texts.back().size();
    if (bytes >= max_bytes) break;
  }
  return texts;
}

std::vector<std::string> texts_of(const std::vector<EvalDocument>& documents) {
  std::vector<std::string> texts;
  texts.reserve(documents.size());
  for (const EvalDocument& document : documents) texts.push_back(document.text);
  return texts;
}

Result<LanguageEvalReport> evaluate_model(const Path& model, const std::vector<EvalDocument>& documents,
                                          const LanguageEvalOptions& options) {
  const auto engine = TRY(Engine::open(model));
  return evaluate_language_model(*engine, documents, options);
}

Json scores_json(const std::vector<DocumentScore>& scores) {
  JsonArray rows;
  for (const DocumentScore& score : scores) {
    rows.push_back(JsonObject{{"language", score.language},
                              {"bits", score.bits},
                              {"bytes", score.bytes},
                              {"tokens", score.tokens},
                              {"correct", score.correct}});
  }
  return Json(std::move(rows));
}

Result<std::vector<DocumentScore>> read_scores(const Path& file) {
  const Json json = TRY(parse_json(TRY(read_file(file))));
  if (!json.is_array()) return fail(ErrorCode::kParse, "expected an array of scores").at(file.string());
  std::vector<DocumentScore> scores;
  for (const Json& row : json.as_array()) {
    scores.push_back({TRY(json_string(row, "language")), TRY(json_number(row, "bits")),
                      TRY(json_int(row, "bytes")), TRY(json_int(row, "tokens")),
                      TRY(json_int(row, "correct"))});
  }
  return scores;
}

Json metrics_of(const Json& report) {
  JsonObject metrics;
  if (report.is_object()) metrics = report.as_object();
  metrics.erase("samples");
  return Json(std::move(metrics));
}

}  // namespace volant
