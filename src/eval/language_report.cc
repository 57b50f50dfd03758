// The evaluation as a page: headline numbers,
// a bar per language with its interval, how documents spread, samples.
#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/progress.h"
#include "eval/language_model.h"

namespace volant {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--bg:#fbfbf9;--card:#fff;--ink:#1d2327;--soft:#667077;--line:#e2e4e0;--bar:#2f7f79;--bar2:#c8812f;--track:#eef0ec}
@media (prefers-color-scheme:dark){:root{--bg:#14181a;--card:#1c2225;--ink:#e8ecec;--soft:#97a2a8;--line:#2d3539;--bar:#57b8ae;--bar2:#e2a55a;--track:#252c30}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,"PingFang SC","Noto Sans CJK SC",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}h1{font-size:1.6rem;margin:0 0 .2rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:2.4rem 0 .8rem}
.soft{color:var(--soft)}.cards{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));margin-top:1.6rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.1rem}.card b{display:block;font-size:1.9rem;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:right}th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500}
.scroll{overflow-x:auto}svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font-size:13px;font-family:inherit}svg .soft{fill:var(--soft)}.track{fill:var(--track)}.bits{fill:var(--bar)}.right{fill:var(--bar2)}.whisker{stroke:var(--ink);stroke-width:1.5;fill:none}
.sample{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1.1rem;margin:.6rem 0;white-space:pre-wrap;overflow-wrap:anywhere}.sample b{font-weight:650}
)";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string interval(const Estimate& e, int digits, double factor = 1, const char* unit = "") {
  return fmt::format("{:.{}f}{} to {:.{}f}{}", e.low * factor, digits, unit, e.high * factor, digits, unit);
}

std::string card(const char* title, const std::string& value, const std::string& range, const char* note) {
  return fmt::format(
      R"(<div class="card"><span class="soft">{}</span><b>{}</b><span class="soft">95&nbsp;%: {}</span>)"
      R"(<div class="soft">{}</div></div>)",
      title, value, range, note);
}

struct Bar {
  std::string name;
  Estimate estimate;
};

// Horizontal bars from 0, each with a whisker over its 95 % interval.
std::string bar_chart(const std::vector<Bar>& bars, const char* kind, double factor, int digits,
                      const char* unit) {
  constexpr double kWidth = 720, kLabel = 80, kValue = 190, kRow = 34;
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.estimate.high);
  const double scale = most > 0 ? (kWidth - kLabel - kValue) / most : 0;
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {} {}" role="img">)", kWidth, kRow * static_cast<double>(bars.size()));
  for (size_t i = 0; i < bars.size(); ++i) {
    const Estimate& e = bars[i].estimate;
    const double top = kRow * static_cast<double>(i), middle = top + kRow / 2;
    const double low = kLabel + e.low * scale, high = kLabel + e.high * scale;
    svg += fmt::format(R"(<text x="0" y="{:.1f}">{}</text>)", middle + 4.5, escape(bars[i].name));
    svg += fmt::format(R"(<rect x="{}" y="{:.1f}" width="{:.1f}" height="18" rx="3" class="track"/>)", kLabel,
                       top + 8, kWidth - kLabel - kValue);
    svg += fmt::format(R"(<rect x="{}" y="{:.1f}" width="{:.1f}" height="18" rx="3" class="{}"/>)", kLabel,
                       top + 8, std::max(e.value * scale, 1.0), kind);
    svg += fmt::format(
        R"(<path d="M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v10M{1:.1f} {3:.1f}v10" class="whisker"/>)", low,
        high, middle, middle - 5);
    svg += fmt::format(R"(<text x="{}" y="{:.1f}">{:.{}f}{} <tspan class="soft">{}</tspan></text>)",
                       kWidth - kValue + 14, middle + 4.5, e.value * factor, digits, unit,
                       interval(e, digits, factor, unit));
  }
  return svg + "</svg>";
}

// How many documents have how many bits per byte.
std::string histogram(const std::vector<DocumentScore>& documents) {
  constexpr size_t kBins = 30;
  constexpr double kWidth = 720, kHeight = 130;
  std::vector<double> values;
  for (const DocumentScore& score : documents) {
    if (score.bytes > 0 && score.tokens > 0) values.push_back(score.bits / static_cast<double>(score.bytes));
  }
  if (values.size() < 10) return {};
  std::sort(values.begin(), values.end());
  const double low = values.front();
  const double high =
      std::max(values[values.size() * 99 / 100], low + 1e-9);  // the last percent joins the last bar
  std::vector<size_t> counts(kBins);
  for (const double v : values) {
    const double at = (v - low) / (high - low) * kBins;
    ++counts[std::min(static_cast<size_t>(std::min(at, 1e6)), kBins - 1)];
  }
  const auto most = static_cast<double>(*std::max_element(counts.begin(), counts.end()));
  std::string svg = fmt::format(R"(<h2>Documents by bits per byte</h2><svg viewBox="0 0 {} {}" role="img">)",
                                kWidth, kHeight + 22);
  for (size_t i = 0; i < kBins; ++i) {
    const double height = kHeight * static_cast<double>(counts[i]) / most;
    svg += fmt::format(
        R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2" class="bits"><title>{} documents</title></rect>)",
        static_cast<double>(i) * kWidth / kBins + 1, kHeight - height, kWidth / kBins - 2, height, counts[i]);
  }
  svg += fmt::format(
      R"(<text class="soft" x="0" y="{0}">{1:.2f}</text><text class="soft" x="{2}" y="{0}" text-anchor="end">{3:.2f} and more</text></svg>)",
      kHeight + 18, low, kWidth, high);
  return svg;
}

std::string table_row(const std::string& name, const EvalGroup& g) {
  return fmt::format(
      "<tr><td>{}</td><td>{:.4f}</td><td>{:.1f} %</td><td>{:.2f}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
      escape(name), g.bits_per_byte.value, 100 * g.next_token_accuracy.value, g.perplexity.value,
      format_count(static_cast<uint64_t>(g.documents)), format_count(static_cast<uint64_t>(g.bytes)),
      format_count(static_cast<uint64_t>(g.tokens)));
}

}  // namespace

std::string to_html(const LanguageEvalReport& report, const std::string& title) {
  const EvalGroup& all = report.all;
  std::vector<Bar> bits{{"all", all.bits_per_byte}}, accuracy{{"all", all.next_token_accuracy}};
  std::string rows = table_row("all", all);
  for (const auto& [language, group] : report.by_language) {
    bits.push_back({language, group.bits_per_byte});
    accuracy.push_back({language, group.next_token_accuracy});
    rows += table_row(language, group);
  }
  std::string html = fmt::format(
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">)"
      R"(<title>{0}</title><style>{1}</style></head><body><main><h1>{0}</h1><div class="soft">Evaluation of {2} documents, {3} bytes &middot; {4}</div>)",
      escape(title), kStyle, format_count(static_cast<uint64_t>(all.documents)),
      format_count(static_cast<uint64_t>(all.bytes)), now_iso8601().substr(0, 16));
  html += R"(<div class="cards">)";
  html += card("Bits per byte", fmt::format("{:.4f}", all.bits_per_byte.value),
               interval(all.bits_per_byte, 4), "less is better; does not depend on the tokenizer");
  html += card("Next token right", fmt::format("{:.1f} %", 100 * all.next_token_accuracy.value),
               interval(all.next_token_accuracy, 1, 100, " %"), "more is better");
  html += card("Perplexity per token", fmt::format("{:.2f}", all.perplexity.value),
               interval(all.perplexity, 2), "less is better; only with the same tokenizer");
  html += "</div><h2>Bits per byte</h2>" + bar_chart(bits, "bits", 1, 3, "");
  html += "<h2>Next token right</h2>" + bar_chart(accuracy, "right", 100, 1, " %");
  html += histogram(report.documents);
  html +=
      R"(<h2>Numbers</h2><div class="scroll"><table><tr><th>language</th><th>bits per byte</th><th>next token</th><th>perplexity</th><th>documents</th><th>bytes</th><th>tokens</th></tr>)" +
      rows + "</table></div>";
  if (!report.samples.empty()) html += "<h2>Samples, most likely continuation</h2>";
  for (const EvalSample& sample : report.samples) {
    html += fmt::format(R"(<div class="sample"><b>{}</b>{}</div>)", escape(sample.prompt),
                        escape(sample.continuation));
  }
  html +=
      R"(<p class="soft">Intervals are 95 % bootstrap intervals over documents.</p></main></body></html>)";
  return html + "\n";
}

}  // namespace volant
