#include "registry/gate.h"

#include <array>
#include <cmath>

namespace volant {
namespace {

struct Sums {
  std::vector<double> bits, bytes;
};

Sums sums_of(const std::vector<DocumentScore>& scores, const std::string* language = nullptr) {
  Sums sums;
  for (const DocumentScore& score : scores) {
    if (language != nullptr && score.language != *language) continue;
    sums.bits.push_back(score.bits);
    sums.bytes.push_back(static_cast<double>(score.bytes));
  }
  return sums;
}

double ratio(const Sums& sums) {
  double bits = 0, bytes = 0;
  for (const double b : sums.bits) bits += b;
  for (const double b : sums.bytes) bytes += b;
  return bytes > 0 ? bits / bytes : 0;
}

// What must hold before any comparison makes sense; fills reasons and figures. False: refused already.
bool can_compare(GateReport& report, const std::vector<DocumentScore>& candidate, size_t n_reference,
                 const GateConfig& config) {
  report.figures = JsonObject{{"documents", candidate.size()}};
  if (candidate.size() != n_reference) {
    add_condition(report, false,
                  fmt::format("the two models were scored on different documents ({} and {})",
                              candidate.size(), n_reference));
    return false;
  }
  if (static_cast<int64_t>(candidate.size()) < config.min_documents) {
    add_condition(report, false,
                  fmt::format("only {} held-out documents, at least {} are needed to decide anything",
                              candidate.size(), config.min_documents));
    return false;
  }
  for (const DocumentScore& score : candidate) {
    if (std::isfinite(score.bits) && score.bytes > 0) continue;
    add_condition(report, false,
                  "the candidate gives a probability that is not a number on a held-out document");
    return false;
  }
  return true;
}

// A language that got clearly worse refuses even when the whole did not.
void check_languages(GateReport& report, const std::vector<DocumentScore>& candidate,
                     const std::vector<DocumentScore>& production, const GateConfig& config) {
  std::map<std::string, int64_t> languages;
  for (const DocumentScore& score : candidate) ++languages[score.language];
  JsonObject figures;
  for (const auto& [language, documents] : languages) {
    if (language.empty() || documents < config.min_documents) continue;
    const Sums a = sums_of(candidate, &language);
    const Sums b = sums_of(production, &language);
    const Estimate difference =
        bootstrap_ratio_difference(a.bits, b.bits, a.bytes, config.bootstrap_samples, config.seed);
    figures[language] = to_json(difference);
    if (difference.low > config.max_bits_per_byte_increase) {
      add_condition(
          report, false,
          fmt::format(
              "it is clearly worse in '{}': {:+.4f} bits per byte, at least {:+.4f} with 95 % confidence",
              language, difference.value, difference.low));
    }
  }
  report.figures.as_object()["by_language"] = std::move(figures);
}

std::array<double, 256> unigram_bits(const std::vector<std::string>& texts) {
  std::array<double, 256> count;
  count.fill(1);  // add-one: a byte never seen still has a price
  double total = 256;
  for (const std::string& text : texts) {
    for (const char c : text) ++count[static_cast<unsigned char>(c)];
    total += static_cast<double>(text.size());
  }
  std::array<double, 256> bits;
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = -std::log2(count[i] / total);
  return bits;
}

void add_figures(GateReport& report, const char* reference_name, double candidate, double reference,
                 const Estimate& difference) {
  report.figures.as_object()["bits_per_byte"] = JsonObject{{"candidate", candidate},
                                                           {"reference", reference},
                                                           {"reference_name", reference_name},
                                                           {"difference", to_json(difference)}};
}

}  // namespace

Json to_json(const GateReport& report) {
  JsonArray reasons;
  for (const std::string& reason : report.reasons) reasons.emplace_back(reason);
  return JsonObject{{"passed", report.passed}, {"reasons", std::move(reasons)}, {"figures", report.figures}};
}

void add_condition(GateReport& report, bool holds, const std::string& sentence) {
  report.passed = (report.reasons.empty() || report.passed) && holds;
  report.reasons.push_back(holds ? sentence : "refused: " + sentence);
}

GateReport compare_with_production(const std::vector<DocumentScore>& candidate,
                                   const std::vector<DocumentScore>& production, const GateConfig& config) {
  GateReport report;
  if (!can_compare(report, candidate, production.size(), config)) return report;
  const Sums a = sums_of(candidate);
  const Sums b = sums_of(production);
  const Estimate difference =
      bootstrap_ratio_difference(a.bits, b.bits, a.bytes, config.bootstrap_samples, config.seed);
  add_figures(report, "production", ratio(a), ratio(b), difference);
  const double limit = config.max_bits_per_byte_increase;
  add_condition(report, difference.high <= limit,
                fmt::format("on {} held-out documents it needs {:.4f} bits per byte, production {:.4f}: "
                            "the difference is {:+.4f}, at most {:+.4f} with 95 % confidence, "
                            "and {:+.4f} is allowed",
                            candidate.size(), ratio(a), ratio(b), difference.value, difference.high, limit));
  check_languages(report, candidate, production, config);
  return report;
}

GateReport compare_with_unigram(const std::vector<DocumentScore>& candidate,
                                const std::vector<std::string>& texts,
                                const std::vector<std::string>& training_texts, const GateConfig& config) {
  GateReport report;
  if (!can_compare(report, candidate, texts.size(), config)) return report;
  const std::array<double, 256> price = unigram_bits(training_texts);
  const Sums a = sums_of(candidate);
  Sums b{{}, a.bytes};
  for (const std::string& text : texts) {
    double bits = 0;
    for (const char c : text) bits += price[static_cast<unsigned char>(c)];
    b.bits.push_back(bits);
  }
  const Estimate difference =
      bootstrap_ratio_difference(a.bits, b.bits, a.bytes, config.bootstrap_samples, config.seed);
  add_figures(report, "byte unigram", ratio(a), ratio(b), difference);
  add_condition(
      report, difference.high < 0,
      fmt::format("the first version: on {} held-out documents it needs {:.4f} bits per byte and guessing by "
                  "byte frequency {:.4f}: the difference is {:+.4f}, at most {:+.4f} with 95 % confidence, "
                  "and it must be below zero",
                  candidate.size(), ratio(a), ratio(b), difference.value, difference.high));
  return report;
}

GateReport compare_evaluations(const Comparison& comparison) {
  GateReport report;
  report.figures = to_json(comparison).at("figures");
  for (const FigureComparison& figure : comparison.figures) {
    const std::string where = fmt::format(
        "{} is {:.4g}, was {:.4g}: the difference is {:+.4g} ({:+.4g} to {:+.4g}), p = {:.3g} "
        "after correction for {} figures",
        figure.name, figure.second.value, figure.first.value, figure.difference.value, figure.difference.low,
        figure.difference.high, figure.adjusted_p, comparison.figures.size());
    if (figure.verdict == Verdict::kWorse) add_condition(report, false, "it is worse: " + where);
    if (figure.verdict == Verdict::kBetter) add_condition(report, true, "it is better: " + where);
  }
  if (report.reasons.empty()) add_condition(report, true, "no figure shows a difference");
  return report;
}

}  // namespace volant
