#include "eval/report/html.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace volant {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--bg:#fbfbf9;--card:#fff;--ink:#1d2327;--soft:#667077;--line:#e2e4e0;--bar:#2f7f79;--bar2:#c8812f;--track:#eef0ec}
@media (prefers-color-scheme:dark){:root{--bg:#14181a;--card:#1c2225;--ink:#e8ecec;--soft:#97a2a8;--line:#2d3539;--bar:#57b8ae;--bar2:#e2a55a;--track:#252c30}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,"PingFang SC","Noto Sans CJK SC",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}h1{font-size:1.6rem;margin:0 0 .2rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:2.4rem 0 .8rem}
.soft{color:var(--soft)}.cards{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));margin-top:1.6rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.1rem}.card b{display:block;font-size:1.9rem;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:right}th:first-child,td:first-child{text-align:left}td:first-child{min-width:6rem}th{color:var(--soft);font-weight:500}
.scroll{overflow-x:auto}svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font-size:13px;font-family:inherit}svg .soft{fill:var(--soft)}.track{fill:var(--track)}.bits{fill:var(--bar)}.right{fill:var(--bar2)}.axis{stroke:var(--line);fill:none}.curve{stroke:var(--bar);stroke-width:2;fill:none}.chance{stroke:var(--soft);stroke-dasharray:4 4;fill:none}.plots{display:flex;flex-wrap:wrap;gap:1.5rem}.plots figure{margin:0;flex:1 1 20rem;max-width:26rem}.better{color:var(--bar);font-weight:650}.worse{color:var(--bar2);font-weight:650}.whisker{stroke:var(--ink);stroke-width:1.5;fill:none}
.sample{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1.1rem;margin:.6rem 0;white-space:pre-wrap;overflow-wrap:anywhere}.sample b{font-weight:650}
)";

constexpr double kPlot = 300, kMargin = 44, kTop = 30;  // an inner square, and space for its axes

double plot_x(double share) { return kMargin + share * kPlot; }
double plot_y(double share) { return kPlot * (1 - share) + kTop; }

// The frame of a square plot of two shares.
std::string square(const char* x_title, const char* y_title) {
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {0} {1}" role="img"><path class="axis" d="M{2} {5}V{3}H{4}"/>)",
                  kPlot + kMargin + 20, kPlot + kTop + 44, kMargin, kPlot + kTop, kMargin + kPlot, kTop);
  for (int tick = 0; tick <= 4; ++tick) {
    const double share = tick / 4.0;
    svg += fmt::format(R"(<text class="soft" x="{:.0f}" y="{:.0f}" text-anchor="middle">{:.2f}</text>)",
                       plot_x(share), kPlot + kTop + 18, share);
    svg += fmt::format(R"(<text class="soft" x="{:.0f}" y="{:.0f}" text-anchor="end">{:.2f}</text>)",
                       kMargin - 6, plot_y(share) + 4, share);
  }
  svg += fmt::format(R"(<text class="soft" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>)",
                     plot_x(0.5), kPlot + kTop + 38, x_title);
  return svg + fmt::format(R"(<text class="soft" x="0" y="14">{}</text>)", y_title);
}

// From one point of a square plot to another.
std::string chance(double x, double y, double to_x, double to_y) {
  return fmt::format(R"(<path class="chance" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>)", plot_x(x), plot_y(y),
                     plot_x(to_x), plot_y(to_y));
}

std::string curve_of(std::span<const CurvePoint> points) {
  std::string path;
  for (const CurvePoint& point : points)
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", plot_x(point.x), plot_y(point.y));
  return fmt::format(R"(<path class="curve" d="{}"/></svg>)", path);
}

}  // namespace

std::string html_page(const std::string& title, const std::string& subtitle, const std::string& body) {
  return fmt::format(
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">)"
      R"(<title>{0}</title><style>{1}</style></head><body><main><h1>{0}</h1><div class="soft">{2}</div>{3}</main></body></html>)"
      "\n",
      escape_html(title), kStyle, escape_html(subtitle), body);
}

NumberStyle style_of_figure(const Figure& figure) {
  // Figures that are no share of anything, whatever their values.
  constexpr std::array<std::string_view, 13> kNumbers{"bits_per_byte",
                                                      "perplexity",
                                                      "log_loss",
                                                      "brier_score",
                                                      "matthews_correlation",
                                                      "kappa",
                                                      "bleu",
                                                      "chrf",
                                                      "mean_squared_error",
                                                      "mean_absolute_error",
                                                      "r_squared",
                                                      "roc_auc",
                                                      "average_precision"};
  const bool share = figure.estimate.low >= 0 && figure.estimate.high <= 1 &&
                     std::ranges::find(kNumbers, figure.name) == kNumbers.end();
  return share ? NumberStyle{1, 100, " %"} : NumberStyle{};
}

std::string format_number(double value, const NumberStyle& style) {
  return fmt::format("{:.{}f}{}", value * style.factor, style.digits, style.unit);
}

std::string format_interval(const Estimate& estimate, const NumberStyle& style) {
  return format_number(estimate.low, style) + " to " + format_number(estimate.high, style);
}

std::string figure_title(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kNames{{
      {"roc_auc", "ROC AUC"},
      {"average_precision", "Average precision (PR AUC)"},
      {"r_squared", "R²"},
      {"bleu", "BLEU"},
      {"chrf", "chrF"},
      {"rouge_l", "ROUGE-L"},
      {"pass_at_1", "pass@1"},
      {"pass_at_10", "pass@10"},
      {"f1", "F1"},
      {"f1_macro", "F1, macro"},
      {"calibration_error", "Calibration error (ECE)"},
      {"kappa", "Cohen's kappa"},
      {"top_5_accuracy", "Top-5 accuracy"},
      {"ndcg", "NDCG"},
      {"ndcg_at_10", "NDCG, first ten"},
  }};
  for (const auto& [known, title] : kNames)
    if (name == known) return std::string(title);
  std::string title(name);
  std::replace(title.begin(), title.end(), '_', ' ');
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z')
    title[0] = static_cast<char>(title[0] - 'a' + 'A');
  return title;
}

std::string html_card(std::string_view title, const Estimate& estimate, const NumberStyle& style,
                      std::string_view note) {
  return fmt::format(
      R"(<div class="card"><span class="soft">{}</span><b>{}</b><span class="soft">95&nbsp;%: {}</span>)"
      R"(<div class="soft">{}</div></div>)",
      escape_html(title), format_number(estimate.value, style), format_interval(estimate, style),
      escape_html(note));
}

std::string html_table(const std::vector<std::string>& heading,
                       const std::vector<std::vector<std::string>>& rows) {
  std::string html = R"(<div class="scroll"><table><tr>)";
  for (const std::string& cell : heading) html += "<th>" + escape_html(cell) + "</th>";
  for (const auto& row : rows) {
    html += "</tr><tr>";
    for (const std::string& cell : row) html += "<td>" + escape_html(cell) + "</td>";
  }
  return html + "</tr></table></div>";
}

std::string svg_bars(std::span<const Bar> bars, const char* kind, const NumberStyle& style) {
  constexpr double kWidth = 720, kValue = 205, kRow = 34, kCharacter = 7.2;
  size_t longest = 10;
  double most = 0;
  for (const Bar& bar : bars) {
    most = std::max(most, bar.estimate.high);
    longest = std::max(longest, bar.name.size());
  }
  const double label = std::min(kCharacter * static_cast<double>(longest) + 10, 300.0);
  const double scale = most > 0 ? (kWidth - label - kValue) / most : 0;
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", kWidth, kRow * static_cast<double>(bars.size()));
  for (size_t i = 0; i < bars.size(); ++i) {
    const Estimate& e = bars[i].estimate;
    const double top = kRow * static_cast<double>(i), middle = top + kRow / 2;
    const double low = label + std::max(e.low, 0.0) * scale, high = label + std::max(e.high, 0.0) * scale;
    svg += fmt::format(R"(<text x="0" y="{:.1f}">{}</text>)", middle + 4.5, escape_html(bars[i].name));
    svg += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="18" rx="3" class="track"/>)",
                       label, top + 8, kWidth - label - kValue);
    svg += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="18" rx="3" class="{}"/>)", label,
                       top + 8, std::max(e.value * scale, 1.0), kind);
    svg += fmt::format(
        R"(<path d="M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v10M{1:.1f} {3:.1f}v10" class="whisker"/>)", low,
        high, middle, middle - 5);
    svg += fmt::format(R"(<text x="{}" y="{:.1f}">{} <tspan class="soft">{}</tspan></text>)",
                       kWidth - kValue + 14, middle + 4.5, format_number(e.value, style),
                       format_interval(e, style));
  }
  return svg + "</svg>";
}

std::string svg_roc(std::span<const CurvePoint> curve) {
  return square("false positive rate", "true positive rate") + chance(0, 0, 1, 1) + curve_of(curve);
}

std::string svg_precision_recall(std::span<const CurvePoint> curve, double positive_share) {
  return square("recall", "precision") + chance(0, positive_share, 1, positive_share) + curve_of(curve);
}

std::string svg_calibration(std::span<const CalibrationBin> bins) {
  int64_t most = 1;
  for (const CalibrationBin& bin : bins) most = std::max(most, bin.rows);
  std::string svg = square("stated confidence", "share that was right") + chance(0, 0, 1, 1);
  for (const CalibrationBin& bin : bins) {
    if (bin.rows == 0) continue;
    svg += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" class="bits"><title>{} rows: said {:.2f}, was {:.2f}</title></circle>)",
        plot_x(bin.confidence), plot_y(bin.accuracy),
        3 + 7 * std::sqrt(static_cast<double>(bin.rows) / static_cast<double>(most)), bin.rows,
        bin.confidence, bin.accuracy);
  }
  return svg + "</svg>";
}

std::string svg_confusion(const Confusion& confusion) {
  const size_t n = confusion.classes.size();
  const double cell = std::clamp(420.0 / static_cast<double>(std::max<size_t>(n, 1)), 18.0, 60.0),
               label = 110;
  const double size = label + cell * static_cast<double>(n);
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {0:.0f} {0:.0f}" style="max-width:{0:.0f}px" role="img">)", size);
  for (size_t t = 0; t < n; ++t) {
    int64_t whole = 0;
    for (size_t p = 0; p < n; ++p) whole += confusion.counts[t * n + p];
    const double y = label + cell * static_cast<double>(t), x = label + cell * static_cast<double>(t);
    const std::string name = escape_html(confusion.classes[t]);
    svg += fmt::format(R"(<text x="{:.0f}" y="{:.1f}" text-anchor="end">{}</text>)", label - 6,
                       y + cell / 2 + 4, name);
    svg += fmt::format(R"svg(<text transform="translate({:.1f} {:.0f}) rotate(-60)">{}</text>)svg",
                       x + cell / 2, label - 6, name);
    for (size_t p = 0; p < n; ++p) {
      const int64_t count = confusion.counts[t * n + p];
      const double share = whole == 0 ? 0 : static_cast<double>(count) / static_cast<double>(whole);
      const double left = label + cell * static_cast<double>(p);
      svg += fmt::format(
          R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}" fill-opacity="{:.2f}"><title>{} as {}: {}</title></rect>)",
          left, y, cell - 1, cell - 1, t == p ? "bits" : "right", 0.06 + 0.94 * share, name,
          escape_html(confusion.classes[p]), count);
      if (cell >= 30)
        svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", left + cell / 2,
                           y + cell / 2 + 4, count);
    }
  }
  return svg + "</svg>";
}

}  // namespace volant
