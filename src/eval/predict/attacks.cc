#include "eval/predict/attacks.h"

#include <algorithm>

#include "eval/predict/gradient_attack.h"
#include "eval/predict/row_scores.h"
#include "eval/report/html.h"

namespace volant {
namespace {

// Rows whose label the model does not know cannot be attacked: they are wrong already.
Result<std::vector<AttackTarget>> targets_of(const Predictor& predictor, std::span<const TaskRow> rows) {
  std::vector<AttackTarget> targets;
  for (const TaskRow& row : rows) {
    AttackTarget target{.input = TRY(predictor.encoder().encode(row.input))};
    target.range = attack_range(predictor.encoder(), row.input, target.input);
    if (predictor.problem() == Problem::kNumber) {
      if (!row.target) return fail(ErrorCode::kInvalidArgument, "row '{}' has no target", row.id);
      target.target = *row.target;
    } else {
      if (row.label.empty()) return fail(ErrorCode::kInvalidArgument, "row '{}' has no label", row.id);
      const auto found = std::ranges::find(predictor.labels(), row.label);
      if (found == predictor.labels().end()) continue;
      target.label = static_cast<int32_t>(found - predictor.labels().begin());
    }
    targets.push_back(std::move(target));
  }
  return targets;
}

// What every row scores: 1 for the right label, or the square of how far it is off.
struct Scores {
  std::vector<double> plain, fgsm, pgd;
};

Scores scores_of(const std::vector<AttackOutcome>& outcomes, std::span<const AttackTarget> targets,
                 bool numbers) {
  const auto score = [&](const AttackedInput& point, size_t i) {
    const double off = point.value - targets[i].target;
    return numbers ? off * off : point.right ? 1.0 : 0.0;
  };
  Scores scores;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    scores.plain.push_back(score(outcomes[i].plain, i));
    scores.fgsm.push_back(score(outcomes[i].fgsm, i));
    scores.pgd.push_back(score(outcomes[i].pgd, i));
  }
  return scores;
}

}  // namespace

Status add_attacks(const Predictor& predictor, const Path& folder, std::span<const TaskRow> all,
                   const AttackOptions& options, EvalReport& report) {
  const std::vector<TaskRow> rows = taken_evenly(all, static_cast<size_t>(options.rows));
  Result<GradientAttack> attack = GradientAttack::load(folder, predictor.threshold(), 0);
  if (!attack && attack.error().code == ErrorCode::kUnsupported) {
    report.notes.push_back("no attacks: " + attack.error().message);
    return {};
  }
  if (!attack) return std::move(attack).error();
  const std::vector<AttackTarget> targets = TRY(targets_of(predictor, rows));
  if (targets.empty()) return fail(ErrorCode::kInvalidArgument, "attacks: expected rows, got none");
  const bool numbers = predictor.problem() == Problem::kNumber;
  const char* name = row_score_name(predictor.problem());
  const std::string unit = TRY(attack_unit(predictor.encoder()));
  const NumberStyle style = numbers ? NumberStyle() : NumberStyle{1, 100, " %"};
  const auto cell = [&](const Estimate& estimate) {
    return fmt::format("{} ({})", format_number(estimate.value, style), format_interval(estimate, style));
  };
  ReportSection section{
      .key = "attacks",
      .title =
          fmt::format("Attacks: {} of {} rows moved against the model", figure_title(name), targets.size()),
      .heading = {"epsilon, " + unit, "one step (FGSM)", fmt::format("{} steps (PGD)", options.steps),
                  "PGD beside plain, paired"}};
  JsonObject by_epsilon;
  Estimate plain;
  for (const double epsilon : options.epsilons) {
    const Scores scores =
        scores_of(TRY(attack->run(targets, {epsilon, static_cast<int>(options.steps)})), targets, numbers);
    plain = mean_over_rows(scores.plain);
    const Estimate fgsm = mean_over_rows(scores.fgsm), pgd = mean_over_rows(scores.pgd),
                   difference = mean_difference(scores.plain, scores.pgd);
    if (section.rows.empty()) section.rows.push_back({"none", cell(plain), cell(plain), ""});
    section.rows.push_back({fmt::format("{:g}", epsilon), cell(fgsm), cell(pgd), cell(difference)});
    by_epsilon[fmt::format("{:g}", epsilon)] =
        JsonObject{{"fgsm", to_json(fgsm)}, {"pgd", to_json(pgd)}, {"difference", to_json(difference)}};
  }
  section.json = {{"of", name},
                  {"rows", targets.size()},
                  {"epsilon_of", unit},
                  {"steps", options.steps},
                  {"plain", to_json(plain)},
                  {"epsilons", std::move(by_epsilon)}};
  report.sections.push_back(std::move(section));
  return {};
}

}  // namespace volant
