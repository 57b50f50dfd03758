#include "eval/fairness/fairness.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "eval/bootstrap.h"
#include "eval/metrics/checks.h"
#include "eval/significance.h"

namespace volant {
namespace {

constexpr size_t kMaxSlices = 100'000;
constexpr double kNormal975 = 1.959963984540054;

Status check(size_t n_rows, size_t n_groups, const FairnessOptions& options) {
  if (n_rows == 0) return fail(ErrorCode::kInvalidArgument, "fairness: expected at least one row, got none");
  if (n_rows != n_groups)
    return fail(ErrorCode::kInvalidArgument, "fairness: expected a group for each of {} rows, got {}", n_rows,
                n_groups);
  if (options.min_rows < 2)
    return fail(ErrorCode::kInvalidArgument, "fairness: expected a least size of 2 rows or more, got {}",
                options.min_rows);
  return {};
}

bool is_share(std::span<const double> values) {
  return std::ranges::all_of(values, [](double v) { return v == 0 || v == 1; });
}

RowMetric mean_of(std::span<const double> values) {
  return [values](std::span<const size_t> rows) -> Result<double> {
    double sum = 0;
    for (const size_t row : rows) sum += values[row];
    return sum / static_cast<double>(rows.size());
  };
}

Result<Estimate> estimate_of(std::span<const double> values, const FairnessOptions& options) {
  if (is_share(values))
    return share_estimate(std::ranges::count(values, 1.0), static_cast<int64_t>(values.size()));
  return bootstrap(values.size(), mean_of(values),
                   {.samples = options.bootstrap_samples, .seed = options.seed});
}

struct Moments {
  double mean = 0, variance_of_mean = 0;
  double n = 0;
};

Moments moments_of(double sum, double squares, double n) {
  const double m = sum / n;
  return {m, std::max(squares / n - m * m, 0.0) / (n - 1), n};
}

// Newcombe's way of combining two intervals, which stays sound near shares of 0 and 1.
Estimate difference_of(const Estimate& high, const Estimate& low) {
  const double d = high.value - low.value;
  return {d, d - std::hypot(high.value - high.low, low.high - low.value),
          d + std::hypot(high.high - high.value, low.value - low.low)};
}

Result<Gap> gap_of(const std::map<std::string, std::vector<double>>& by_group,
                   const FairnessOptions& options) {
  Gap gap;
  const GroupFigure *highest = nullptr, *lowest = nullptr;
  for (const auto& [group, values] : by_group)
    gap.groups.push_back({group, static_cast<int64_t>(values.size()), TRY(estimate_of(values, options))});
  for (const GroupFigure& figure : gap.groups) {
    if (figure.rows < options.min_rows) continue;
    if (highest == nullptr || figure.estimate.value > highest->estimate.value) highest = &figure;
    if (lowest == nullptr || figure.estimate.value <= lowest->estimate.value) lowest = &figure;
  }
  if (highest == nullptr || highest == lowest) return gap;
  gap.compared = true;
  gap.highest = highest->group;
  gap.lowest = lowest->group;
  gap.difference = difference_of(highest->estimate, lowest->estimate);
  return gap;
}

// Welch's test with its approximate degrees of freedom.
double welch_p(const Moments& a, const Moments& b) {
  const double error = a.variance_of_mean + b.variance_of_mean;
  if (error == 0) return a.mean == b.mean ? 1 : 0;
  const double degrees = error * error /
                         (a.variance_of_mean * a.variance_of_mean / (a.n - 1) +
                          b.variance_of_mean * b.variance_of_mean / (b.n - 1));
  const boost::math::students_t_distribution<double> t(std::max(degrees, 1.0));
  return 2 * boost::math::cdf(boost::math::complement(t, std::abs(a.mean - b.mean) / std::sqrt(error)));
}

struct Sums {
  double n = 0, sum = 0, squares = 0;
  void add(double x) {
    n += 1;
    sum += x;
    squares += x * x;
  }
};

using Columns = std::map<std::string, std::vector<std::string>>;

// Sums of every slice by one column and by two.
Result<std::map<std::string, Sums>> slices_of(std::span<const double> scores, const Columns& columns) {
  std::map<std::string, Sums> slices;
  for (auto first = columns.begin(); first != columns.end(); ++first) {
    for (auto second = first; second != columns.end(); ++second) {
      for (size_t row = 0; row < scores.size(); ++row) {
        std::string name = first->first + " = " + first->second[row];
        if (second != first) name += ", " + second->first + " = " + second->second[row];
        slices[name].add(scores[row]);
      }
      if (slices.size() > kMaxSlices)
        return fail(ErrorCode::kLimit,
                    "more than {} slices: give fewer columns, or columns with fewer values", kMaxSlices);
    }
  }
  return slices;
}

}  // namespace

Result<Gap> score_by_group(std::span<const double> scores, std::span<const std::string> groups,
                           const FairnessOptions& options) {
  TRY(check(scores.size(), groups.size(), options));
  TRY(check_finite(scores, "fairness"));
  std::map<std::string, std::vector<double>> by_group;
  for (size_t i = 0; i < scores.size(); ++i) by_group[groups[i]].push_back(scores[i]);
  return gap_of(by_group, options);
}

Result<Gap> demographic_parity(std::span<const int32_t> predicted, std::span<const std::string> groups,
                               const FairnessOptions& options) {
  TRY(check_labels(predicted, 2, "demographic parity"));
  return score_by_group(std::vector<double>(predicted.begin(), predicted.end()), groups, options);
}

Result<EqualisedOdds> equalised_odds(std::span<const int32_t> truth, std::span<const int32_t> predicted,
                                     std::span<const std::string> groups, const FairnessOptions& options) {
  TRY(check_rows(truth.size(), predicted.size(), "equalised odds"));
  TRY(check(truth.size(), groups.size(), options));
  TRY(check_labels(truth, 2, "equalised odds"));
  TRY(check_labels(predicted, 2, "equalised odds"));
  std::map<std::string, std::vector<double>> of_positives, of_negatives;
  for (size_t i = 0; i < truth.size(); ++i)
    (truth[i] == 1 ? of_positives : of_negatives)[groups[i]].push_back(predicted[i]);
  return EqualisedOdds{TRY(gap_of(of_positives, options)), TRY(gap_of(of_negatives, options))};
}

Result<std::vector<Slice>> worst_slices(std::span<const double> scores, const Columns& columns,
                                        const FairnessOptions& options) {
  for (const auto& [name, values] : columns) {
    Status fits = check(scores.size(), values.size(), options);
    if (!fits) return std::move(fits).error().at(name);
  }
  TRY(check_finite(scores, "worst slice"));
  const bool shares = std::ranges::all_of(scores, [](double s) { return s == 0 || s == 1; });
  Sums all;
  for (const double score : scores) all.add(score);
  std::vector<Slice> slices;
  std::vector<double> p_values;
  const auto least = static_cast<double>(options.min_rows);
  const std::map<std::string, Sums> found = TRY(slices_of(scores, columns));
  for (const auto& [name, sums] : found) {
    if (sums.n < least || all.n - sums.n < least) continue;
    const Moments slice = moments_of(sums.sum, sums.squares, sums.n);
    const Moments rest = moments_of(all.sum - sums.sum, all.squares - sums.squares, all.n - sums.n);
    const double half = kNormal975 * std::sqrt(slice.variance_of_mean);
    slices.push_back({.name = name, .rows = static_cast<int64_t>(sums.n), .rest = rest.mean});
    slices.back().score = shares ? TRY(share_estimate(std::llround(sums.sum), std::llround(sums.n)))
                                 : Estimate{slice.mean, slice.mean - half, slice.mean + half};
    slices.back().p_value = welch_p(slice, rest);
    p_values.push_back(slices.back().p_value);
  }
  const std::vector<double> adjusted = TRY(holm(p_values));
  for (size_t i = 0; i < slices.size(); ++i) slices[i].adjusted_p = adjusted[i];
  std::ranges::stable_sort(slices, {}, [](const Slice& slice) { return slice.score.value; });
  return slices;
}

Json to_json(const Gap& gap) {
  JsonObject groups;
  for (const GroupFigure& figure : gap.groups) {
    JsonObject json = to_json(figure.estimate).as_object();
    json["rows"] = figure.rows;
    groups[figure.group] = std::move(json);
  }
  JsonObject json{{"groups", std::move(groups)}};
  if (gap.compared) {
    json["highest"] = gap.highest;
    json["lowest"] = gap.lowest;
    json["difference"] = to_json(gap.difference);
  }
  return json;
}

Json to_json(const Slice& slice) {
  return JsonObject{{"name", slice.name}, {"rows", slice.rows},       {"score", to_json(slice.score)},
                    {"rest", slice.rest}, {"p_value", slice.p_value}, {"adjusted_p", slice.adjusted_p}};
}

}  // namespace volant
