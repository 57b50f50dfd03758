// The evaluation as a page: headline numbers,
// a bar per language with its interval, how documents spread, samples.
#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/progress.h"
#include "eval/language_model.h"
#include "eval/report/html.h"

namespace volant {
namespace {

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
      escape_html(name), g.bits_per_byte.value, 100 * g.next_token_accuracy.value, g.perplexity.value,
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
  constexpr NumberStyle kBits{4}, kShare{1, 100, " %"}, kPerplexity{2};
  std::string html = R"(<div class="cards">)";
  html += html_card("Bits per byte", all.bits_per_byte, kBits,
                    "less is better; does not depend on the tokenizer");
  html += html_card("Next token right", all.next_token_accuracy, kShare, "more is better");
  html += html_card("Perplexity per token", all.perplexity, kPerplexity,
                    "less is better; only with the same tokenizer");
  html += "</div><h2>Bits per byte</h2>" + svg_bars(bits, "bits", {});
  html += "<h2>Next token right</h2>" + svg_bars(accuracy, "right", kShare);
  html += histogram(report.documents);
  html +=
      R"(<h2>Numbers</h2><div class="scroll"><table><tr><th>language</th><th>bits per byte</th><th>next token</th><th>perplexity</th><th>documents</th><th>bytes</th><th>tokens</th></tr>)" +
      rows + "</table></div>";
  if (!report.samples.empty()) html += "<h2>Samples, most likely continuation</h2>";
  for (const EvalSample& sample : report.samples) {
    html += fmt::format(R"(<div class="sample"><b>{}</b>{}</div>)", escape_html(sample.prompt),
                        escape_html(sample.continuation));
  }
  html += R"(<p class="soft">Intervals are 95 % bootstrap intervals over documents.</p>)";
  return html_page(title,
                   fmt::format("Evaluation of {} documents, {} bytes · {}",
                               format_count(static_cast<uint64_t>(all.documents)),
                               format_count(static_cast<uint64_t>(all.bytes)), now_iso8601().substr(0, 16)),
                   html);
}

}  // namespace volant
