#include "compress/parity.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace volant {
namespace {

constexpr size_t kMaxTexts = 64;
constexpr int64_t kMaxPositions = 2048;  // of all texts together
constexpr size_t kMaxIds = 256;          // of one text

// log of the sum of exp, without overflow.
double log_sum_exp(std::span<const float> logits) {
  const auto most = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
  return most + std::log(sum);
}

bool all_finite(const std::vector<float>& logits) {
  return std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); });
}

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

const std::vector<std::string>& built_in_parity_texts() {
  static const std::vector<std::string> texts{
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her "
      "dog.",
      "The river rose quietly during the night, and by morning the lower fields were under water.",
      "To change the battery, open the cover, take out the old cell, and press the new one in until it "
      "clicks.",
      "Question: how many legs do three spiders have? Answer: a spider has eight legs, so three have "
      "twenty-four.",
      "春天来了，院子里的桃花开了，小猫躺在阳光下睡觉。",
      "水在零度以下会结冰，在一百度左右会沸腾。这是因为分子的运动随温度而改变。",
      "你好，请问去火车站怎么走？先直走，到第二个路口向左转，大约十分钟就到了。",
      "One day, Tom found a big red ball in the garden. He wanted to play with it, so he asked his mom if he "
      "could.",
      "The city council met on Tuesday to discuss the new bridge, which has been closed to heavy traffic "
      "since May.",
      "从前有一个小男孩，他很喜欢听爷爷讲故事，每天晚上都要听完一个故事才肯睡觉。",
      "读书是一种好习惯，它能让我们学到新的知识，也能让我们认识更大的世界。",
      "def add(a, b):\n    return a + b\n\nprint(add(2, 3))  # 5",
  };
  return texts;
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

void ParitySums::add(std::span<const float> original, std::span<const float> exported) {
  const double total_a = log_sum_exp(original), total_b = log_sum_exp(exported);
  double divergence = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    const auto a = static_cast<double>(original[i]), b = static_cast<double>(exported[i]);
    max_logit_error = std::max(max_logit_error, std::abs(a - b));
    divergence += std::exp(a - total_a) * ((a - total_a) - (b - total_b));
  }
  kl += std::max(divergence, 0.0);  // rounding can leave a tiny negative
  const auto best_a = std::max_element(original.begin(), original.end()) - original.begin();
  const auto best_b = std::max_element(exported.begin(), exported.end()) - exported.begin();
  agreeing += best_a == best_b ? 1 : 0;
  ++positions;
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
  const ParityBound bound = parity_bound(to);
  const auto n = static_cast<double>(sums.positions);
  ParityReport report{.format = to.name(),
                      .greedy_agreement = static_cast<double>(sums.agreeing) / n,
                      .mean_kl = sums.kl / n,
                      .max_logit_error = sums.max_logit_error,
                      .positions = sums.positions,
                      .passed = false,
                      .max_mean_kl_allowed = bound.max_mean_kl,
                      .bytes = 0};
  report.passed = report.mean_kl <= bound.max_mean_kl && report.max_logit_error <= bound.max_logit_error &&
                  report.greedy_agreement >= bound.min_greedy_agreement;
  return report;
}

}  // namespace volant
