#include "data/pack.h"

#include "base/progress.h"
#include "base/stop.h"
#include "data/row.h"
#include "io/jsonl.h"
#include "text/unicode.h"

namespace volant {

Json ShardReport::to_json() const {
  return JsonObject{
      {"documents", documents}, {"tokens", tokens}, {"text_bytes", text_bytes}, {"text_chars", text_chars}};
}

Result<ShardReport> write_shard_of_rows(const Path& rows_path, const Tokenizer& tokenizer, const Path& out) {
  JsonlReader reader = TRY(JsonlReader::open(rows_path));
  TokenShardWriter writer = TRY(TokenShardWriter::create(out, tokenizer.n_vocab()));
  ShardReport report;
  Progress progress("tokenise " + rows_path.filename().string(), 0, "documents");
  while (true) {
    if (stop_requested())
      return fail(ErrorCode::kCancelled, "stopped before all rows were tokenised; run it again");
    const std::optional<Json> json = TRY(reader.next());
    if (!json) break;
    Result<Row> row = row_from_json(*json);
    if (!row) return std::move(row).error().at(fmt::format("{}:{}", rows_path.string(), reader.line()));

    std::vector<int32_t> ids;
    if (const std::optional<int32_t> bos = tokenizer.bos_id()) ids.push_back(*bos);
    const std::vector<int32_t> body =
        tokenizer.encode(row->text, {.add_special = false, .parse_special = false});
    ids.insert(ids.end(), body.begin(), body.end());
    if (const std::optional<int32_t> eos = tokenizer.eos_id()) ids.push_back(*eos);
    TRY(writer.add(ids));

    ++report.documents;
    report.tokens += ids.size();
    report.text_bytes += row->text.size();
    report.text_chars += count_code_points(row->text);
    progress.update(report.documents);
  }
  TRY(writer.finish());
  progress.finish(format_count(report.tokens) + " tokens");
  return report;
}

}  // namespace volant
