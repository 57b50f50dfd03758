#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "kernels/kernels.h"

namespace volant {
namespace {

constexpr size_t kMaxLogitBias = 1024;
constexpr int64_t kRun = 128;  // weights side by side, passed over together when none of them can be chosen
constexpr double kLikely = 1e-3;  // a thousandth of the likeliest token's weight

Status check_number(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return {};
  return fail(ErrorCode::kInvalidArgument, "'{}' is {}, expected {} to {}", name, value, least, most);
}

uint64_t fresh_seed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

}  // namespace

Status check_sampling(const SamplingOptions& o, int64_t n_vocab) {
  TRY(check_number("temperature", o.temperature, 0, 100));
  TRY(check_number("top_p", o.top_p, 0, 1));
  TRY(check_number("min_p", o.min_p, 0, 1));
  TRY(check_number("typical_p", o.typical_p, 0, 1));
  TRY(check_number("top_k", o.top_k, 0, 1e9));
  TRY(check_number("presence_penalty", o.presence_penalty, -2, 2));
  TRY(check_number("frequency_penalty", o.frequency_penalty, -2, 2));
  TRY(check_number("repetition_penalty", o.repetition_penalty, 0.01, 100));
  if (o.logit_bias.size() > kMaxLogitBias) {
    return fail(ErrorCode::kInvalidArgument, "'logit_bias' has {} entries, expected at most {}",
                o.logit_bias.size(), kMaxLogitBias);
  }
  for (const auto& [id, bias] : o.logit_bias) {
    if (id < 0 || id >= n_vocab) {
      return fail(ErrorCode::kInvalidArgument, "'logit_bias' names token {}, expected 0 to {}", id,
                  n_vocab - 1);
    }
    TRY(check_number("logit_bias", bias, -100, 100));
  }
  return {};
}

Sampler::Sampler(const SamplingOptions& options, std::span<const int32_t> prompt)
    : options_(options), random_(options.seed ? *options.seed : fresh_seed()) {
  if (options_.repetition_penalty != 1) {
    for (const int32_t id : prompt) ++seen_[id];
  }
}

bool Sampler::changes_logits() const {
  return !options_.logit_bias.empty() || options_.presence_penalty != 0 || options_.frequency_penalty != 0 ||
         options_.repetition_penalty != 1;
}

void Sampler::change_logits() {
  const auto at = [&](int32_t id) -> float& { return logits_[static_cast<size_t>(id)]; };
  for (const auto& [id, bias] : options_.logit_bias) at(id) += static_cast<float>(bias);
  for (const auto& [id, count] : seen_) {
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    at(id) = at(id) > 0 ? at(id) / penalty : at(id) * penalty;
  }
  for (const auto& [id, count] : generated_) {
    at(id) -= static_cast<float>(options_.presence_penalty + options_.frequency_penalty * count);
  }
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  if (changes_logits()) {
    logits_.assign(logits.begin(), logits.end());
    change_logits();
    logits = logits_;
  }
  const auto n = static_cast<int64_t>(logits.size());
  const int64_t best = kernels().argmax(logits.data(), n);
  const float largest = logits[static_cast<size_t>(best)];
  if (!std::isfinite(largest))
    return fail(ErrorCode::kInternal, "the model's output holds no number: are its weights intact?");
  const bool greedy = options_.temperature < 1e-5 || options_.top_k == 1;
  const auto id = greedy ? static_cast<int32_t>(best) : draw(logits, largest);
  if (options_.presence_penalty != 0 || options_.frequency_penalty != 0) ++generated_[id];
  if (options_.repetition_penalty != 1) ++seen_[id];
  return id;
}

int32_t Sampler::draw(std::span<const float> logits, float largest) {
  const size_t n = logits.size();
  weights_.resize(n);
  const auto scale = static_cast<float>(1.0 / options_.temperature);
  const double total =
      kernels().exp_sum(logits.data(), static_cast<int64_t>(n), largest, scale, weights_.data());
  const bool all =
      options_.top_k == 0 && options_.top_p >= 1 && options_.min_p <= 0 && options_.typical_p >= 1;
  if (all) {
    double left = random_.uniform() * total;
    for (size_t i = 0; i < n; ++i) {
      left -= static_cast<double>(weights_[i]);
      if (left < 0) return static_cast<int32_t>(i);
    }
    return static_cast<int32_t>(std::max_element(weights_.begin(), weights_.end()) - weights_.begin());
  }
  // All tokens below this floor together weigh less than what top-p leaves out: none of them can be chosen.
  const double floor = options_.top_k > 0 ? 0.0 : (1 - options_.top_p) * total / static_cast<double>(n);
  const double least = std::max(floor, options_.min_p);
  find_run_maxima();
  bool enough = false;
  if (options_.top_k == 0 && options_.top_p < 1) {
    // Where the likely ones weigh what top-p asks for, it keeps no other.
    find_candidates(std::max(least, kLikely));
    enough = least >= kLikely || kept_weight() >= options_.top_p * total;
  }
  if (!enough) find_candidates(least);
  truncate(total);
  return pick(kept_weight());
}

double Sampler::kept_weight() const {
  double sum = 0;
  for (const Candidate& each : candidates_) sum += static_cast<double>(each.weight);
  return sum;
}

void Sampler::find_run_maxima() {
  const auto n = std::ssize(weights_);
  run_maxima_.clear();
  for (int64_t at = 0; at < n; at += kRun)
    run_maxima_.push_back(kernels().max(weights_.data() + at, std::min(kRun, n - at)));
}

void Sampler::find_candidates(double least) {
  const auto n = std::ssize(weights_);
  if (const auto k = static_cast<size_t>(options_.top_k); k > 0 && k < run_maxima_.size()) {
    // The k + 1 runs with the largest maxima hold k + 1 weights of at least the last of these: none of the
    // best k is smaller.
    ranked_maxima_ = run_maxima_;
    const auto last = ranked_maxima_.begin() + static_cast<std::ptrdiff_t>(k);
    std::nth_element(ranked_maxima_.begin(), last, ranked_maxima_.end(), std::greater<>());
    least = std::max(least, static_cast<double>(*last));
  }
  candidates_.clear();
  for (size_t run = 0; run < run_maxima_.size(); ++run) {
    if (static_cast<double>(run_maxima_[run]) < least) continue;
    const int64_t begin = static_cast<int64_t>(run) * kRun;
    for (int64_t i = begin; i < std::min(begin + kRun, n); ++i) {
      const float weight = weights_[static_cast<size_t>(i)];
      if (static_cast<double>(weight) >= least) candidates_.push_back({weight, static_cast<int32_t>(i)});
    }
  }
}

void Sampler::truncate(double total) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  };
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < candidates_.size()) {
    const auto end = candidates_.begin() + options_.top_k;
    std::nth_element(candidates_.begin(), end, candidates_.end(), better);
    candidates_.erase(end, candidates_.end());
    total = kept_weight();
  }
  std::sort(candidates_.begin(), candidates_.end(), better);
  if (options_.top_p < 1) {
    double sum = 0;
    size_t kept = 0;
    while (kept < candidates_.size() && (kept == 0 || sum < options_.top_p * total)) {
      sum += static_cast<double>(candidates_[kept++].weight);
    }
    candidates_.resize(kept);
  }
  if (options_.typical_p < 1) keep_typical();
}

void Sampler::keep_typical() {
  double total = 0, weighted = 0;
  for (const Candidate& each : candidates_) {
    const auto w = static_cast<double>(each.weight);
    total += w;
    if (w > 0) weighted += w * std::log(w);
  }
  // With p = w / total: the entropy is log(total) - sum(w log w) / total, and -log p minus it is:
  const auto distance = [&](const Candidate& each) {
    return std::abs(weighted / total - std::log(static_cast<double>(each.weight)));
  };
  std::ranges::stable_sort(candidates_, {}, distance);
  double sum = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && (kept == 0 || sum < options_.typical_p * total))
    sum += static_cast<double>(candidates_[kept++].weight);
  candidates_.resize(kept);
}

int32_t Sampler::pick(double total) {
  double left = random_.uniform() * total;
  for (const Candidate& each : candidates_) {
    left -= static_cast<double>(each.weight);
    if (left < 0) return each.id;
  }
  return candidates_.front().id;
}

double log_sum_exp(std::span<const float> logits) {
  const auto n = static_cast<int64_t>(logits.size());
  const float largest = kernels().max(logits.data(), n);
  return static_cast<double>(largest) + std::log(kernels().exp_sum(logits.data(), n, largest, 1, nullptr));
}

TokenLogprob logprob_of(std::span<const float> logits, int32_t id) {
  return {id, static_cast<double>(logits[static_cast<size_t>(id)]) - log_sum_exp(logits)};
}

std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, int n) {
  std::vector<int32_t> ids(logits.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  const auto end = ids.begin() + std::min<std::ptrdiff_t>(n, std::ssize(ids));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    const float left = logits[static_cast<size_t>(a)], right = logits[static_cast<size_t>(b)];
    return left != right ? left > right : a < b;
  });
  const double denominator = log_sum_exp(logits);
  std::vector<TokenLogprob> top;
  for (auto id = ids.begin(); id != end; ++id) {
    top.push_back({*id, static_cast<double>(logits[static_cast<size_t>(*id)]) - denominator});
  }
  return top;
}

}  // namespace volant
