// The held-out documents of a workspace, and how models score on them.
#pragma once
#include <string>
#include <vector>

#include "eval/language_model.h"
#include "io/file.h"

namespace volant {

// The text of a row; a conversation is its contents joined, as the trainer packs it.
std::string row_text(const Json& row);
// At most `limit` rows of a split, the same ones each time, spread over all sources.
Result<std::vector<EvalDocument>> read_documents(const Path& rows, int64_t limit);
// Texts of a split up to `max_bytes` in all.
Result<std::vector<std::string>> read_texts(const Path& rows, uint64_t max_bytes);
std::vector<std::string> texts_of(const std::vector<EvalDocument>& documents);

Result<LanguageEvalReport> evaluate_model(const Path& model, const std::vector<EvalDocument>& documents,
                                          const LanguageEvalOptions& options);

// Scores as a file beside an artifact: [{"language","bits","bytes","tokens","correct"}...].
Json scores_json(const std::vector<DocumentScore>& scores);
Result<std::vector<DocumentScore>> read_scores(const Path& file);
// What a version carries of a report: everything but samples.
Json metrics_of(const Json& report);

}  // namespace volant
