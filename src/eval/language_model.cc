#include "eval/language_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/stop.h"

namespace volant {
namespace {

struct Scored {
  double nll = 0;
  int64_t tokens = 0, correct = 0;
};

void add(const Score& score, size_t first, Scored& sums) {
  for (size_t i = first; i < score.nll.size(); ++i) {
    sums.nll += static_cast<double>(score.nll[i]);
    sums.correct += score.correct[i] ? 1 : 0;
    ++sums.tokens;
  }
}

// Scores ids[1 ..]: the first window whole, then windows that begin half a window later and count only what
// no window before them has scored. A bos begins every window, as the model knows texts.
Result<Scored> score_ids(Engine& engine, const std::vector<int32_t>& ids, std::optional<int32_t> bos) {
  Scored sums;
  const auto n_ctx = static_cast<size_t>(engine.n_ctx());
  const std::span<const int32_t> all(ids);
  size_t scored = std::min(ids.size(), n_ctx);  // ids before this one are done
  add(TRY(engine.score(all.first(scored))), 0, sums);
  const size_t n_bos = bos && ids.front() == *bos ? 1 : 0;
  const size_t step = std::max<size_t>((n_ctx - n_bos) / 2, 1);
  while (scored < ids.size()) {
    const size_t end = std::min(scored + step, ids.size());
    const size_t begin = end - std::min(end, n_ctx - n_bos);
    std::vector<int32_t> window(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(n_bos));
    window.insert(window.end(), ids.begin() + static_cast<ptrdiff_t>(begin),
                  ids.begin() + static_cast<ptrdiff_t>(end));
    add(TRY(engine.score(window)), scored - begin + n_bos - 1, sums);
    scored = end;
  }
  return sums;
}

Result<DocumentScore> score_document(Engine& engine, const EvalDocument& document) {
  DocumentScore result{.language = document.language};
  const Tokenizer& tokenizer = engine.tokenizer();
  std::vector<int32_t> ids = tokenizer.encode(document.text, {.add_special = true, .parse_special = false});
  if (ids.empty()) return result;
  // What a text begins after: bos, or eos in vocabularies that know only that (GPT-2's).
  const std::optional<int32_t> start = tokenizer.bos_id() ? tokenizer.bos_id() : tokenizer.eos_id();
  if (start && !tokenizer.is_special(ids.front())) ids.insert(ids.begin(), *start);
  if (ids.size() < 2) return result;
  const Scored scored = TRY(score_ids(engine, ids, start));
  result.bits = scored.nll / std::numbers::ln2;
  result.bytes = static_cast<int64_t>(document.text.size());
  if (!start)
    result.bytes =
        std::max<int64_t>(result.bytes - static_cast<int64_t>(tokenizer.token_bytes(ids.front()).size()), 1);
  result.tokens = scored.tokens;
  result.correct = scored.correct;
  return result;
}

EvalGroup group_of(const std::vector<const DocumentScore*>& scores, const LanguageEvalOptions& options) {
  std::vector<double> bits, bytes, tokens, correct;
  EvalGroup group;
  for (const DocumentScore* score : scores) {
    bits.push_back(score->bits);
    bytes.push_back(static_cast<double>(score->bytes));
    tokens.push_back(static_cast<double>(score->tokens));
    correct.push_back(static_cast<double>(score->correct));
    group.bytes += score->bytes;
    group.tokens += score->tokens;
    group.documents += score->tokens > 0 ? 1 : 0;
  }
  const int samples = options.bootstrap_samples;
  group.bits_per_byte = bootstrap_ratio(bits, bytes, samples, options.seed);
  group.next_token_accuracy = bootstrap_ratio(correct, tokens, samples, options.seed);
  const Estimate per_token = bootstrap_ratio(bits, tokens, samples, options.seed);
  group.perplexity = {std::exp2(per_token.value), std::exp2(per_token.low), std::exp2(per_token.high)};
  return group;
}

Result<EvalSample> continue_prompt(Engine& engine, const std::string& prompt, int n_tokens) {
  GenerateRequest request;
  request.prompt = engine.tokenizer().encode(prompt, {.add_special = true, .parse_special = false});
  request.max_tokens = n_tokens;
  request.sampling.temperature = 0;
  const GenerateResult result = TRY(engine.generate(std::move(request)));
  if (result.error) return *result.error;
  return EvalSample{prompt, result.text};
}

JsonObject to_json(const EvalGroup& group) {
  return {{"bits_per_byte", to_json(group.bits_per_byte)},
          {"next_token_accuracy", to_json(group.next_token_accuracy)},
          {"perplexity", to_json(group.perplexity)},
          {"documents", group.documents},
          {"bytes", group.bytes},
          {"tokens", group.tokens}};
}

}  // namespace

Result<LanguageEvalReport> evaluate_language_model(Engine& engine, const std::vector<EvalDocument>& documents,
                                                   const LanguageEvalOptions& options) {
  LanguageEvalReport report;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (stop_requested())
      return fail(ErrorCode::kCancelled, "stopped after {} of {} documents", i, documents.size());
    Result<DocumentScore> score = score_document(engine, documents[i]);
    if (!score) return std::move(score).error().at(fmt::format("document {}", i + 1));
    report.documents.push_back(std::move(score).value());
    if (options.on_progress) options.on_progress(i + 1, documents.size());
  }
  std::vector<const DocumentScore*> all;
  std::map<std::string, std::vector<const DocumentScore*>> by_language;
  for (const DocumentScore& score : report.documents) {
    all.push_back(&score);
    if (!score.language.empty()) by_language[score.language].push_back(&score);
  }
  report.all = group_of(all, options);
  if (report.all.tokens == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "expected at least one document of two tokens or more, got {} documents", documents.size());
  }
  for (const auto& [language, scores] : by_language) report.by_language[language] = group_of(scores, options);
  for (const std::string& prompt : options.sample_prompts) {
    report.samples.push_back(TRY(continue_prompt(engine, prompt, options.sample_tokens)));
  }
  return report;
}

Json to_json(const LanguageEvalReport& report) {
  JsonObject json = to_json(report.all);
  JsonObject by_language;
  for (const auto& [language, group] : report.by_language) by_language[language] = to_json(group);
  json["by_language"] = std::move(by_language);
  JsonArray samples;
  for (const EvalSample& sample : report.samples) {
    samples.push_back(JsonObject{{"prompt", sample.prompt}, {"continuation", sample.continuation}});
  }
  json["samples"] = std::move(samples);
  return json;
}

}  // namespace volant
