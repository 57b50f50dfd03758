#include "eval/learning_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "eval/report/html.h"

namespace volant {
namespace {

constexpr double kMaxExponent = 2, kExponentStep = 0.02;
constexpr double kNormal975 = 1.959963984540054;
constexpr int kDraws = 400;
constexpr double kPoorFit = 1.7;

double deviation_of(const Estimate& estimate) { return (estimate.high - estimate.low) / (2 * kNormal975); }

// Floor and scale of least squares for an exponent, neither below 0; with what is left over.
struct Line {
  double floor = 0, scale = 0, rest = std::numeric_limits<double>::infinity();
};

Line line_of(std::span<const double> x, std::span<const double> y, std::span<const double> weight,
             bool has_floor) {
  double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    w += weight[i];
    wx += weight[i] * x[i];
    wy += weight[i] * y[i];
    wxx += weight[i] * x[i] * x[i];
    wxy += weight[i] * x[i] * y[i];
  }
  Line line;
  const double spread = w * wxx - wx * wx;
  line.scale = has_floor && spread > 0 ? (w * wxy - wx * wy) / spread : -1;
  line.floor = (wy - line.scale * wx) / w;
  if (!has_floor || line.floor < 0) line = {.floor = 0, .scale = std::max(0.0, wxy / wxx)};
  if (line.scale < 0) line = {.floor = wy / w, .scale = 0};
  line.rest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double off = y[i] - line.floor - line.scale * x[i];
    line.rest += weight[i] * off * off;
  }
  return line;
}

Status check(std::span<const CurveSample> samples) {
  if (samples.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "learning curve: expected at least two points, got {}",
                samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    const CurveSample& s = samples[i];
    if (!(s.rows >= 1) || !(s.error.value >= 0) || !std::isfinite(s.rows + s.error.value) ||
        !(s.error.low <= s.error.high))
      return fail(ErrorCode::kInvalidArgument,
                  "learning curve: expected rows and errors from 0 on, got {} at {}", s.error.value, s.rows);
    if (i > 0 && samples[i - 1].rows >= s.rows)
      return fail(ErrorCode::kInvalidArgument,
                  "learning curve: expected more rows in each point, got {} after {}", s.rows,
                  samples[i - 1].rows);
  }
  return {};
}

std::vector<double> weights_of(std::span<const CurveSample> samples) {
  std::vector<double> weights;
  double least = 1e-6;  // a deviation of 0 would weigh all
  for (const CurveSample& s : samples) least = std::max(least, 0.05 * deviation_of(s.error));
  for (const CurveSample& s : samples)
    weights.push_back(std::pow(std::max(deviation_of(s.error), least), -2));
  return weights;
}

PowerLaw fit(std::span<const CurveSample> samples, std::span<const double> errors) {
  // Rows relative to the last, so that powers stay near 1.
  const double last = samples.back().rows;
  const std::vector<double> weight = weights_of(samples);
  std::vector<double> x(samples.size());
  PowerLaw best;
  double rest = std::numeric_limits<double>::infinity();
  for (double exponent = kExponentStep; exponent <= kMaxExponent; exponent += kExponentStep) {
    for (size_t i = 0; i < samples.size(); ++i) x[i] = std::pow(samples[i].rows / last, -exponent);
    const Line line = line_of(x, errors, weight, samples.size() > 2);
    if (line.rest >= rest) continue;
    rest = line.rest;
    best = {line.floor, line.scale * std::pow(last, exponent), exponent};
  }
  return best;
}

std::vector<double> errors_of(std::span<const CurveSample> samples) {
  std::vector<double> errors;
  for (const CurveSample& s : samples) errors.push_back(s.error.value);
  return errors;
}

// Birge's ratio: the root of chi squared over the points beyond the three that a law has; at least 1.
double misfit_of(std::span<const CurveSample> samples, const PowerLaw& law) {
  const std::vector<double> weights = weights_of(samples);
  double chi_squared = 0;
  for (size_t i = 0; i < samples.size(); ++i)
    chi_squared += weights[i] * std::pow(samples[i].error.value - law.at(samples[i].rows), 2);
  const double free = std::max(1.0, static_cast<double>(samples.size()) - 3);
  return std::max(1.0, std::sqrt(chi_squared / free));
}

Estimate spread_of(double value, std::vector<double> draws) {
  std::ranges::sort(draws);
  return {value, std::min(value, quantile(draws, 0.025)), std::max(value, quantile(draws, 0.975))};
}

// As the figure is shown: an accuracy is what its error leaves.
Estimate shown(const Estimate& error, bool is_accuracy) {
  if (!is_accuracy) return error;
  return {1 - error.value, 1 - error.high, 1 - error.low};
}

// Rows on a logarithmic axis, the points with their intervals, the law through them, dashed where it
// foresees.
std::string plot(std::span<const CurveSample> samples, const PowerLaw& law, const Estimate& next,
                 bool is_accuracy, const NumberStyle& style) {
  constexpr double kWidth = 640, kHeight = 260, kLeft = 70, kTop = 16;
  const double first = samples.front().rows, last = samples.back().rows, end = 2 * last;
  double low = shown(next, is_accuracy).low, high = shown(next, is_accuracy).high;
  for (const CurveSample& s : samples) {
    low = std::min(low, shown(s.error, is_accuracy).low);
    high = std::max(high, shown(s.error, is_accuracy).high);
  }
  if (high <= low) high = low + 1e-9;
  const auto x_of = [&](double rows) {
    return kLeft + kWidth * std::log(rows / first) / std::log(end / first);
  };
  const auto y_of = [&](double y) { return kTop + kHeight * (high - y) / (high - low); };
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img"><path class="axis" d="M{} {}V{}H{}"/>)",
                  kLeft + kWidth + 60, kTop + kHeight + 44, kLeft, kTop, kTop + kHeight, kLeft + kWidth);
  for (int tick = 0; tick <= 2; ++tick) {
    const double y = low + (high - low) * tick / 2;
    svg += fmt::format(R"(<text class="soft" x="{}" y="{:.1f}" text-anchor="end">{}</text>)", kLeft - 8,
                       y_of(y) + 4, format_number(y, style));
  }
  const auto curve = [&](const char* kind, double from, double to) {
    std::string path;
    for (int step = 0; step <= 40; ++step) {
      const double rows = from * std::pow(to / from, step / 40.0);
      const Estimate at{law.at(rows), 0, 0};
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x_of(rows),
                          std::clamp(y_of(shown(at, is_accuracy).value), kTop, kTop + kHeight));
    }
    svg += fmt::format(R"(<path class="{}" d="{}"/>)", kind, path);
  };
  curve("curve", first, last);
  curve("chance", last, end);
  const auto point = [&](double rows, const Estimate& error, const char* kind) {
    const Estimate e = shown(error, is_accuracy);
    svg += fmt::format(
        R"(<path class="whisker" d="M{0:.1f} {1:.1f}V{2:.1f}"/><circle cx="{0:.1f}" cy="{3:.1f}" r="4.5" class="{4}"><title>{5:.0f} rows: {6}</title></circle>)",
        x_of(rows), y_of(e.low), y_of(e.high), y_of(e.value), kind, rows, format_number(e.value, style));
    svg += fmt::format(R"(<text class="soft" x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.0f}</text>)",
                       x_of(rows), kTop + kHeight + 20, rows);
  };
  for (const CurveSample& s : samples) point(s.rows, s.error, "bits");
  point(end, next, "right");
  return svg +
         fmt::format(
             R"(<text class="soft" x="{:.1f}" y="{:.1f}" text-anchor="middle">rows to learn from</text></svg>)",
             kLeft + kWidth / 2, kTop + kHeight + 40);
}

}  // namespace

double PowerLaw::at(double rows) const { return floor + scale * std::pow(rows, -exponent); }

Result<PowerLaw> fit_power_law(std::span<const CurveSample> samples) {
  TRY(check(samples));
  return fit(samples, errors_of(samples));
}

Result<Extrapolation> extrapolate(std::span<const CurveSample> samples, double rows, uint64_t seed) {
  const PowerLaw law = TRY(fit_power_law(samples));
  const double last = samples.back().rows, misfit = misfit_of(samples, law);
  Random random(seed);
  std::vector<double> errors, gains;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<double> drawn = errors_of(samples);
    for (size_t i = 0; i < drawn.size(); ++i)
      drawn[i] = std::max(0.0, drawn[i] + misfit * deviation_of(samples[i].error) * random.normal());
    const PowerLaw other = fit(samples, drawn);
    errors.push_back(other.at(rows));
    gains.push_back(other.at(last) - other.at(rows));
  }
  return Extrapolation{spread_of(law.at(rows), std::move(errors)),
                       spread_of(law.at(last) - law.at(rows), std::move(gains)), misfit};
}

Status add_learning_curve(std::span<const CurveSample> samples, const std::string& figure,
                          EvalReport& report) {
  const PowerLaw law = TRY(fit_power_law(samples));
  const bool is_accuracy = figure == "accuracy";
  const NumberStyle style = is_accuracy ? NumberStyle{1, 100, " %"} : NumberStyle();
  const NumberStyle points = is_accuracy ? NumberStyle{1, 100, " points"} : NumberStyle();
  const double twice = 2 * samples.back().rows;
  const Extrapolation next = TRY(extrapolate(samples, twice));
  ReportSection section{
      .key = "learning_curve",
      .title = "Learning curve: what more data gives",
      .heading = {"rows to learn from", figure_title(figure), "95 %", "on the fitted curve"}};
  JsonArray list;
  const auto add = [&](double rows, const Estimate& error, const char* note) {
    const Estimate value = shown(error, is_accuracy);
    section.rows.push_back({fmt::format("{:.0f}{}", rows, note), format_number(value.value, style),
                            format_interval(value, style),
                            format_number(shown({law.at(rows), 0, 0}, is_accuracy).value, style)});
    return value;
  };
  for (const CurveSample& s : samples) {
    JsonObject json = to_json(add(s.rows, s.error, "")).as_object();
    json["rows"] = s.rows;
    list.push_back(std::move(json));
  }
  const Estimate value = add(twice, next.error, " (foreseen)");
  section.plot = plot(samples, law, next.error, is_accuracy, style);
  section.json = {
      {"of", figure},
      {"points", std::move(list)},
      {"power_law", {{"floor", law.floor}, {"scale", law.scale}, {"exponent", law.exponent}}},
      {"twice_the_data", {{"rows", twice}, {"foreseen", to_json(value)}, {"gain", to_json(next.gain)}}},
      {"misfit", next.misfit}};
  std::string words = fmt::format(
      "Twice the data ({:.0f} rows) would give about {} ({}), {} better ({}), if the curve goes on as a "
      "power law through {} points",
      twice, format_number(value.value, style), format_interval(value, style),
      format_number(next.gain.value, points), format_interval(next.gain, points), samples.size());
  words += next.gain.low > 0 ? "." : "; these points do not show that it helps at all.";
  if (samples.size() < 3)
    words += " Two points alone say little: the curve is taken to end at an error of 0.";
  if (next.misfit > kPoorFit)
    words += fmt::format(
        " The points lie {:.1f} times further from that curve than their intervals explain: trust the points, "
        "not the forecast.",
        next.misfit);
  report.notes.push_back(std::move(words));
  report.sections.push_back(std::move(section));
  return {};
}

}  // namespace volant
