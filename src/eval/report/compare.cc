#include "eval/report/compare.h"

#include <algorithm>
#include <cmath>

#include "eval/bootstrap.h"
#include "eval/report/html.h"
#include "eval/significance.h"

namespace volant {
namespace {

constexpr double kAlpha = 0.05;
constexpr double kNormal975 = 1.959963984540054;
constexpr const char* kRowWeights = "weights";

using Scores = std::vector<double>;

const Scores* scores_of(const EvalReport& report, const std::string& name) {
  const auto found = report.row_scores.find(name);
  return found == report.row_scores.end() || found->second.empty() ? nullptr : &found->second;
}

bool right_or_wrong(const Scores& scores) {
  return std::ranges::all_of(scores, [](double s) { return s == 0 || s == 1; });
}

// `weights` null: all 1.
RowMetric mean_of(const Scores& scores, const Scores* weights) {
  return [&scores, weights](std::span<const size_t> rows) -> Result<double> {
    double sum = 0, of = 0;
    for (const size_t row : rows) {
      const double weight = weights != nullptr ? (*weights)[row] : 1;
      sum += weight * scores[row];
      of += weight;
    }
    if (of <= 0) return fail(ErrorCode::kInvalidArgument, "expected rows with a weight above 0");
    return sum / of;
  };
}

Status compare_pairs(const Scores& first, const Scores& second, const Scores* weights, uint64_t seed,
                     FigureComparison& figure) {
  const PairedDifference paired = TRY(paired_bootstrap(
      first.size(), mean_of(second, weights), mean_of(first, weights), {.samples = 2000, .seed = seed}));
  figure.paired = true;
  figure.difference = paired.difference;
  figure.same_scores = first == second;
  if (weights == nullptr && right_or_wrong(first) && right_or_wrong(second)) {
    const std::vector<int32_t> a(first.begin(), first.end()), b(second.begin(), second.end());
    figure.tests = {{"McNemar", TRY(mcnemar(a, b)).exact_p}, {"paired bootstrap", paired.p_value}};
    if (figure.same_scores)  // the bootstrap sees no spread: as if it were certain
      figure.difference = TRY(paired_share_difference(a, b));
  } else {
    figure.tests = {{"paired bootstrap", paired.p_value}};
    if (weights == nullptr) figure.tests.emplace_back("sign test", TRY(sign_test(first, second)));
  }
  figure.p_value = figure.tests.front().second;
  return {};
}

// Standard error behind a 95 % interval.
double error_of(const Estimate& e) { return (e.high - e.low) / (2 * kNormal975); }

void compare_intervals(FigureComparison& figure) {
  const double difference = figure.second.value - figure.first.value;
  const double error = std::hypot(error_of(figure.first), error_of(figure.second));
  figure.difference = {difference, difference - kNormal975 * error, difference + kNormal975 * error};
  figure.p_value = error > 0         ? std::erfc(std::abs(difference) / error / std::sqrt(2.0))
                   : difference == 0 ? 1
                                     : 0;
  figure.tests = {{"intervals", figure.p_value}};
}

Status correct(std::vector<FigureComparison>& figures) {
  std::vector<double> p_values;
  p_values.reserve(figures.size());
  for (const FigureComparison& figure : figures) p_values.push_back(figure.p_value);
  const std::vector<double> adjusted = TRY(holm(p_values));
  for (size_t i = 0; i < figures.size(); ++i) {
    figures[i].adjusted_p = adjusted[i];
    if (adjusted[i] > kAlpha) continue;
    const bool better = (figures[i].difference.value > 0) == figures[i].higher_is_better;
    figures[i].verdict = better ? Verdict::kBetter : Verdict::kWorse;
  }
  return {};
}

std::string name_of(const EvalReport& report, const char* other) {
  if (!report.model.empty()) return report.model;
  return report.title.empty() ? other : report.title;
}

// Of both, that a reader can tell apart.
std::pair<std::string, std::string> names_of(const Comparison& comparison) {
  std::string first = name_of(comparison.first, "first"), second = name_of(comparison.second, "second");
  if (first == second) {
    first += " (first)";
    second += " (second)";
  }
  return {first, second};
}

std::string text_of(const Json* value) {
  if (value == nullptr) return "-";
  return value->is_string() ? std::string(value->get_string()) : dump_json(*value);
}

// Groups that both have, figure by figure.
std::string groups_html(const Comparison& comparison) {
  std::string html;
  for (const FigureComparison& figure : comparison.figures) {
    std::vector<Bar> bars;
    for (const FigureGroup& group : comparison.first.groups) {
      const auto other = std::ranges::find(comparison.second.groups, group.name, &FigureGroup::name);
      if (other == comparison.second.groups.end()) continue;
      const auto a = std::ranges::find(group.figures, figure.name, &Figure::name),
                 b = std::ranges::find(other->figures, figure.name, &Figure::name);
      if (a == group.figures.end() || b == other->figures.end()) continue;
      bars.push_back({group.name + ", first", a->estimate});
      bars.push_back({group.name + ", second", b->estimate});
    }
    if (bars.empty()) continue;
    html += "<h2>" + escape_html(figure_title(figure.name)) + " by group</h2>" +
            svg_bars(bars, figure.higher_is_better ? "right" : "bits",
                     style_of_figure({figure.name, figure.first, figure.higher_is_better}));
  }
  return html;
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBetter:
      return "better";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kNoDifferenceShown:
      break;
  }
  return "no difference shown";
}

std::string tests_of(const FigureComparison& figure) {
  std::string text = figure.tests.empty() ? "" : figure.tests.front().first;
  for (size_t i = 1; i < figure.tests.size(); ++i)
    text += fmt::format("; {} {:.3f}", figure.tests[i].first, figure.tests[i].second);
  return text;
}

std::vector<std::vector<std::string>> differing_settings(const Comparison& comparison) {
  const auto facts_of = [](const EvalReport& report) {
    JsonObject facts = report.settings;
    facts["suite"] = report.suite;
    facts["rows"] = report.rows;
    return facts;
  };
  const JsonObject first = facts_of(comparison.first), second = facts_of(comparison.second);
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](std::string_view key) {
    std::string a = text_of(first.if_contains(key)), b = text_of(second.if_contains(key));
    if (a != b) rows.push_back({std::string(key), std::move(a), std::move(b)});
  };
  for (const auto& [key, value] : first) add(key);
  for (const auto& [key, value] : second)
    if (!first.contains(key)) add(key);
  return rows;
}

Result<Comparison> compare_reports(EvalReport first, EvalReport second, uint64_t seed) {
  Comparison comparison;
  const Scores *weights = scores_of(first, kRowWeights), *other_weights = scores_of(second, kRowWeights);
  const bool same_weights =
      weights == nullptr ? other_weights == nullptr : other_weights != nullptr && *weights == *other_weights;
  const bool same_rows = !first.row_ids.empty() && first.row_ids == second.row_ids && same_weights;
  for (const Figure& a : first.figures) {
    const auto b = std::ranges::find(second.figures, a.name, &Figure::name);
    if (b == second.figures.end()) continue;
    FigureComparison figure{.name = a.name, .higher_is_better = a.higher_is_better};
    figure.first = a.estimate;
    figure.second = b->estimate;
    const Scores *of_first = scores_of(first, a.name), *of_second = scores_of(second, a.name);
    if (same_rows && of_first != nullptr && of_second != nullptr) {
      TRY(compare_pairs(*of_first, *of_second, weights, seed, figure));
    } else {
      compare_intervals(figure);
    }
    comparison.figures.push_back(std::move(figure));
  }
  if (comparison.figures.empty())
    return fail(ErrorCode::kInvalidArgument,
                "expected two reports of one kind, they have no figure in common ('{}' and '{}')",
                first.title, second.title);
  TRY(correct(comparison.figures));
  comparison.first = std::move(first);
  comparison.second = std::move(second);
  return comparison;
}

Json to_json(const Comparison& comparison) {
  JsonObject figures;
  for (const FigureComparison& figure : comparison.figures) {
    JsonObject tests;
    for (const auto& [name, p] : figure.tests) tests[name] = p;
    figures[figure.name] = JsonObject{{"first", to_json(figure.first)},
                                      {"second", to_json(figure.second)},
                                      {"difference", to_json(figure.difference)},
                                      {"p_value", figure.p_value},
                                      {"adjusted_p", figure.adjusted_p},
                                      {"paired", figure.paired},
                                      {"tests", std::move(tests)},
                                      {"verdict", verdict_name(figure.verdict)}};
  }
  JsonObject settings;
  for (const auto& row : differing_settings(comparison)) settings[row[0]] = JsonArray{row[1], row[2]};
  const auto side = [](const EvalReport& report) {
    return JsonObject{{"title", report.title}, {"model", report.model}, {"rows", report.rows}};
  };
  return JsonObject{{"first", side(comparison.first)},
                    {"second", side(comparison.second)},
                    {"figures", figures},
                    {"settings", std::move(settings)}};
}

std::string to_html(const Comparison& comparison) {
  const auto [first, second] = names_of(comparison);
  std::string html;
  std::vector<std::vector<std::string>> rows;
  for (const FigureComparison& figure : comparison.figures) {
    const NumberStyle style = style_of_figure({figure.name, figure.first, figure.higher_is_better});
    const std::vector<Bar> bars{{first, figure.first}, {second, figure.second}};
    html += "<h2>" + escape_html(figure_title(figure.name)) + "</h2>" +
            svg_bars(bars, figure.higher_is_better ? "right" : "bits", style);
    rows.push_back({figure_title(figure.name), format_number(figure.first.value, style),
                    format_number(figure.second.value, style), format_number(figure.difference.value, style),
                    format_interval(figure.difference, style), fmt::format("{:.3f}", figure.adjusted_p),
                    tests_of(figure), verdict_name(figure.verdict)});
  }
  const std::string table =
      html_table({"figure", first, second, "difference", "95 %", "p, corrected", "test", "second is"}, rows);
  const std::vector<std::vector<std::string>> settings = differing_settings(comparison);
  const bool paired = std::ranges::all_of(comparison.figures, &FigureComparison::paired);
  return html_page(first + " and " + second,
                   paired ? "Compared on the same rows, in pairs" : "Compared by their intervals",
                   "<h2>Differences</h2>" + table +
                       (settings.empty() ? ""
                                         : "<h2>Settings that differ</h2>" +
                                               html_table({"setting", first, second}, settings)) +
                       html + groups_html(comparison));
}

}  // namespace volant
