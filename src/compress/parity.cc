#include "compress/parity.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace volant {
namespace {

constexpr int64_t kMaxPositions = 2048;  // of all texts together
constexpr size_t kMaxIds = 256;          // of one text

}  // namespace

ParityBound parity_bound(const ExportFormat& to) {
  constexpr double kAny = std::numeric_limits<double>::infinity();
  struct Row {
    const char* format;
    double max_mean_kl;
  };
  // About twice what models of 15 and 26 million parameters lose on texts that they know; larger ones lose
  // less.
  constexpr Row kBounds[] = {{"q8_0", 0.02},  {"q6_K", 0.04}, {"q5_K_M", 0.08}, {"q5_K_S", 0.1},
                             {"q5_1", 0.1},   {"q5_0", 0.16}, {"q4_K_M", 0.2},  {"q4_K_S", 0.25},
                             {"q4_1", 0.4},   {"q4_0", 0.6},  {"iq4_nl", 0.5},  {"q3_K_M", 0.9},
                             {"q3_K_S", 1.0}, {"q2_K", 2.2}};
  if (to.name() == "f32") return {.max_mean_kl = 1e-5, .max_logit_error = 1e-3, .min_greedy_agreement = 1};
  for (const Row& row : kBounds) {
    if (to.name() == row.format) {
      return {.max_mean_kl = row.max_mean_kl, .max_logit_error = kAny, .min_greedy_agreement = 0};
    }
  }
  return {.max_mean_kl = 0.01, .max_logit_error = kAny, .min_greedy_agreement = 0};
}

Result<std::vector<std::string>> best_foreseen_half(Engine& model, const std::vector<std::string>& texts) {
  std::vector<std::pair<double, const std::string*>> ranked;
  for (const std::string& text : texts) {
    std::vector<int32_t> ids = model.tokenizer().encode(text);
    ids.resize(std::min({ids.size(), kMaxIds, static_cast<size_t>(model.n_ctx())}));
    if (ids.size() < 2) continue;
    const Score score = TRY(model.score(ids));
    double nats = 0;
    for (const float nll : score.nll) nats += static_cast<double>(nll);
    ranked.emplace_back(nats / static_cast<double>(text.size()), &text);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> best;
  for (size_t i = 0; i < (ranked.size() + 1) / 2; ++i) best.push_back(*ranked[i].second);
  return best;
}

ParityReport parity_report(const ParitySums& sums, const ExportFormat& to, int64_t conversations) {
  const ParityBound bound = parity_bound(to);
  const auto n = static_cast<double>(sums.positions);
  ParityReport report{
      .format = to.name(),
      .greedy_agreement = static_cast<double>(sums.agreeing) / n,
      .mean_kl = sums.kl / n,
      .max_logit_error = sums.max_logit_error,
      .positions = sums.positions,
      .conversations = conversations,
      .passed = false,
      .max_mean_kl_allowed = bound.max_mean_kl,
      .max_logit_error_allowed = std::isfinite(bound.max_logit_error) ? bound.max_logit_error : 0,
      .bytes = 0};
  report.passed = report.mean_kl <= bound.max_mean_kl && report.max_logit_error <= bound.max_logit_error &&
                  report.greedy_agreement >= bound.min_greedy_agreement;
  return report;
}

Result<ParityReport> compare_models(Engine& original, Engine& exported, const ExportFormat& to,
                                    const std::vector<std::string>& texts, int32_t adapter) {
  ParitySums sums;
  const size_t n_ids_max =
      std::min({kMaxIds, static_cast<size_t>(original.n_ctx()), static_cast<size_t>(exported.n_ctx())});
  for (size_t t = 0; t < std::min(texts.size(), kMaxTexts) && sums.positions < kMaxPositions; ++t) {
    std::vector<int32_t> ids = original.tokenizer().encode(texts[t]);
    if (ids != exported.tokenizer().encode(texts[t])) {
      return fail(ErrorCode::kRefused, "the exported vocabulary gives other ids for parity text {}", t + 1);
    }
    ids.resize(std::min(ids.size(), n_ids_max));
    if (ids.empty()) continue;
    const std::vector<float> a = TRY(original.logits(ids, adapter)), b = TRY(exported.logits(ids));
    if (!all_finite(a) || !all_finite(b)) {
      return fail(ErrorCode::kRefused, "the {} model gives logits that are not numbers",
                  all_finite(a) ? "exported" : "original");
    }
    const size_t n_vocab = a.size() / ids.size();
    for (size_t i = 0; i < ids.size(); ++i) {
      sums.add(std::span(a).subspan(i * n_vocab, n_vocab), std::span(b).subspan(i * n_vocab, n_vocab));
    }
  }
  if (sums.positions == 0)
    return fail(ErrorCode::kInvalidArgument, "expected parity texts with at least one token");
  const auto prompt_of = [](const Engine& engine) -> PromptOf {
    return [&engine](const JsonArray& messages) { return engine.encode_chat(messages); };
  };
  const int64_t conversations = TRY(compare_prompts(prompt_of(original), prompt_of(exported)));
  return parity_report(sums, to, conversations);
}

}  // namespace volant
