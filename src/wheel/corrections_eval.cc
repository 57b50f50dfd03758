#include "wheel/corrections_eval.h"

#include <algorithm>

#include "feedback/screening.h"

namespace volant {
namespace {

constexpr double kSureLoss = 0.2;  // nats per token
constexpr int kSpareTokens =
    8;  // an answer may go on this much past the correction before it counts as another

struct Prompted {
  std::vector<int32_t> prompt, correction;
};

// The ids of the last answer in a whole conversation that begins with `prompt`: as the trainer sees them,
// which is not always as the answer alone is encoded.
std::vector<int32_t> answer_ids(const std::vector<int32_t>& prompt, const std::vector<int32_t>& whole,
                                const std::vector<int32_t>& stop_ids) {
  if (whole.size() <= prompt.size() || !std::equal(prompt.begin(), prompt.end(), whole.begin())) return {};
  const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(prompt.size());
  const auto end = std::find_first_of(begin, whole.end(), stop_ids.begin(), stop_ids.end());
  return {begin, end};
}

// Prompt and correction as ids, cut to the context from the left.
Result<Prompted> encode_row(const Engine& engine, const CuratedRow& row) {
  const EncodeOptions plain{.add_special = false, .parse_special = false};
  Prompted ids;
  const JsonArray context(row.messages.begin(), row.messages.end() - 1);
  if (json_string_or(context.front(), "role", "").value_or("") == "prompt") {
    ids.prompt = engine.tokenizer().encode(question_of(row), {.add_special = true, .parse_special = false});
    ids.correction = engine.tokenizer().encode(correction_of(row), plain);
  } else {
    ids.prompt = TRY(engine.encode_chat(context));
    ids.correction = answer_ids(ids.prompt, TRY(engine.encode_chat(row.messages)),
                                engine.checkpoint().stop_ids(engine.tokenizer()));
    if (ids.correction.empty()) ids.correction = engine.tokenizer().encode(correction_of(row), plain);
  }
  const auto room = static_cast<size_t>(std::max(engine.n_ctx() - 2 * kSpareTokens, 2));
  if (ids.correction.size() >= room) ids.correction.resize(room - 1);
  const size_t most = room - ids.correction.size();
  if (ids.prompt.size() > most) {
    ids.prompt.erase(ids.prompt.begin(), ids.prompt.end() - static_cast<std::ptrdiff_t>(most));
  }
  return ids;
}

}  // namespace

std::string question_of(const CuratedRow& row) {
  if (row.messages.size() < 2) return "";
  return json_string_or(row.messages[row.messages.size() - 2], "content", "").value_or("");
}

std::string correction_of(const CuratedRow& row) {
  return json_string_or(row.messages.back(), "content", "").value_or("");
}

Result<std::vector<CorrectionScore>> score_corrections(Engine& engine, const std::vector<CuratedRow>& rows) {
  std::vector<CorrectionScore> scores;
  for (const CuratedRow& row : rows) {
    const Prompted ids = TRY(encode_row(engine, row));
    CorrectionScore score;
    if (!ids.correction.empty() && !ids.prompt.empty()) {
      std::vector<int32_t> all = ids.prompt;
      all.insert(all.end(), ids.correction.begin(), ids.correction.end());
      const Score foreseen = TRY(engine.score(all));
      for (size_t i = ids.prompt.size() - 1; i < foreseen.nll.size(); ++i) {
        score.loss += static_cast<double>(foreseen.nll[i]) / static_cast<double>(ids.correction.size());
      }
    }
    GenerateRequest request;
    request.prompt = ids.prompt;
    request.max_tokens = static_cast<int>(ids.correction.size()) + kSpareTokens;
    request.sampling.temperature = 0;
    const GenerateResult result = TRY(engine.generate(std::move(request)));
    score.answer = result.text;
    score.exact = tidy(result.text) == correction_of(row);
    scores.push_back(std::move(score));
  }
  return scores;
}

CorrectionSummary summarize(const std::vector<CorrectionScore>& scores) {
  CorrectionSummary summary;
  for (const CorrectionScore& score : scores) {
    ++summary.rows;
    summary.exact += score.exact ? 1 : 0;
    summary.learned += score.exact || score.loss < kSureLoss ? 1 : 0;
    summary.mean_loss += score.loss / static_cast<double>(scores.size());
  }
  return summary;
}

Json compare_json(const CorrectionSummary& before, const CorrectionSummary& after) {
  return JsonObject{
      {"rows", after.rows},           {"loss_before", before.mean_loss}, {"loss_after", after.mean_loss},
      {"exact_before", before.exact}, {"exact_after", after.exact},      {"learned", after.learned}};
}

}  // namespace volant
