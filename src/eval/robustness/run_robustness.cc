#include "eval/robustness/run_robustness.h"

#include "eval/report/html.h"
#include "eval/significance.h"

namespace volant {
Result<EvalReport> run_robustness(Engine& engine, const Suite& suite,
                                  std::span<const Perturbation> perturbations, const SuiteOptions& options,
                                  const PerturbOptions& perturb) {
  // Before hours of work: what cannot be perturbed is refused first.
  std::vector<Suite> changed;
  for (const Perturbation kind : perturbations) changed.push_back(TRY(perturb_suite(suite, kind, perturb)));
  const uint64_t total = suite.rows.size() * (perturbations.size() + 1);
  uint64_t before = 0;
  SuiteOptions of_part = options;
  of_part.on_progress = [&](uint64_t done, uint64_t) {
    if (options.on_progress) options.on_progress(before + done, total);
  };
  EvalReport report = TRY(run_suite(engine, suite, of_part));
  std::vector<Comparison> comparisons;
  std::vector<double> p_values;
  for (const Suite& other : changed) {
    before += suite.rows.size();
    comparisons.push_back(TRY(compare_reports(report, TRY(run_suite(engine, other, of_part)), options.seed)));
    for (const FigureComparison& figure : comparisons.back().figures) p_values.push_back(figure.p_value);
  }
  const std::vector<double> adjusted = TRY(holm(p_values));
  ReportSection section{.key = "robustness", .title = "Robustness: perturbed questions against plain ones"};
  section.heading = {"perturbation", "figure", "perturbed", "difference", "95 %", "p, corrected"};
  size_t next = 0;
  for (size_t i = 0; i < perturbations.size(); ++i) {
    JsonObject figures;
    for (const FigureComparison& figure : comparisons[i].figures) {
      const double p = adjusted[next++];
      const NumberStyle style = style_of_figure({figure.name, figure.first, figure.higher_is_better});
      section.rows.push_back({perturbation_name(perturbations[i]), figure_title(figure.name),
                              format_number(figure.second.value, style),
                              format_number(figure.difference.value, style),
                              format_interval(figure.difference, style), fmt::format("{:.3f}", p)});
      figures[figure.name] = JsonObject{{"perturbed", to_json(figure.second)},
                                        {"difference", to_json(figure.difference)},
                                        {"adjusted_p", p}};
    }
    section.json[perturbation_name(perturbations[i])] = std::move(figures);
  }
  report.sections.push_back(std::move(section));
  report.settings["perturb_rate"] = perturb.rate;
  return report;
}

}  // namespace volant
