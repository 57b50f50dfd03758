#include "eval/documents.h"

#include "io/jsonl.h"
#include "io/line_reader.h"
#include "text/charset.h"
#include "text/language.h"

namespace volant {
namespace {

constexpr double kMinConfidence = 0.5;

bool is_jsonl(const Path& path) {
  const Path name = path.extension() == ".gz" || path.extension() == ".zst" ? path.stem() : path.filename();
  return name.extension() == ".jsonl" || name.extension() == ".ndjson";
}

void push(std::vector<EvalDocument>& documents, std::string text, std::string language = {}) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return;
  if (language.empty()) {
    const Language found = identify_language(text);
    // A line of a few letters could be any language; a wrong group in the report is worse than none.
    if (found.code != "und" && found.confidence > kMinConfidence) language = found.code;
  }
  documents.push_back({std::move(text), std::move(language)});
}

Result<std::vector<EvalDocument>> from_text(const Path& path, const std::string& separator) {
  Result<DecodedText> decoded = decode_text(TRY(read_content(path)));
  if (!decoded) return std::move(decoded).error().at(path.string());
  LineReader lines = LineReader::from_text(std::move(decoded->text), path.string());
  std::vector<EvalDocument> documents;
  std::string text;
  while (const auto line = TRY(lines.next())) {
    const bool ends =
        separator.empty() ? line->find_first_not_of(" \t") == std::string_view::npos : *line == separator;
    if (ends) {
      push(documents, std::exchange(text, {}));
    } else {
      text += (text.empty() ? "" : "\n") + std::string(*line);
    }
  }
  push(documents, std::move(text));
  return documents;
}

Result<std::vector<EvalDocument>> from_jsonl(const Path& path, const std::string& text_field) {
  JsonlReader reader = TRY(JsonlReader::open(path));
  std::vector<EvalDocument> documents;
  while (const auto row = TRY(reader.next())) {
    const auto at_line = [&](Error error) {
      return std::move(error).at(fmt::format("{}:{}", path.string(), reader.line()));
    };
    std::string text;
    if (const Json* messages = json_find(*row, "messages"); messages != nullptr && messages->is_array()) {
      for (const Json& message : messages->get_array()) {
        Result<std::string> content = json_string_or(message, "content", "");
        if (!content) return at_line(std::move(content).error());
        text += (text.empty() ? "" : "\n\n") + *content;
      }
    } else {
      Result<std::string> field = json_string(*row, text_field);
      if (!field) return at_line(std::move(field).error());
      text = std::move(field).value();
    }
    push(documents, std::move(text), json_string_or(*row, "lang", "").value_or(""));
  }
  return documents;
}

}  // namespace

Result<std::vector<EvalDocument>> read_eval_documents(const Path& path, const DocumentOptions& options) {
  std::vector<EvalDocument> all =
      TRY(is_jsonl(path) ? from_jsonl(path, options.text_field) : from_text(path, options.separator));
  if (all.empty())
    return fail(ErrorCode::kInvalidArgument, "expected at least one document, the file holds none")
        .at(path.string());
  if (options.limit == 0 || all.size() <= options.limit) return all;
  std::vector<EvalDocument> chosen;
  for (size_t i = 0; i < options.limit; ++i) chosen.push_back(std::move(all[i * all.size() / options.limit]));
  return chosen;
}

}  // namespace volant
