#include "wheel/predict/evaluate_section.h"

#include <array>

#include "tasks/settings.h"

namespace volant::predict {
namespace {

constexpr double kMaxCost = 1e9;
constexpr int64_t kMaxAttackRows = 100'000, kMaxAttackSteps = 1000;
constexpr int64_t kNearest = 2000, kMaxNearest = 20'000;
constexpr double kMaxEpsilon = 100;
constexpr size_t kMaxEpsilons = 20;

// {false_positive = 1, false_negative = 5}, or nothing.
Result<std::optional<DecisionCost>> read_cost(const JsonObject& evaluate) {
  const Json* json = json_find(evaluate, "cost");
  if (json == nullptr) return std::optional<DecisionCost>();
  if (!json->is_object())
    return fail(ErrorCode::kInvalidArgument,
                "[evaluate] cost: expected {{false_positive = 1, false_negative = 5}}, got {}",
                dump_json(*json));
  Settings settings(*json, "evaluate.cost");
  DecisionCost cost;
  cost.false_positive = settings.number("false_positive", 1, 0, kMaxCost);
  cost.false_negative = settings.number("false_negative", 1, 0, kMaxCost);
  TRY(settings.finish());
  if (cost.false_positive + cost.false_negative == 0)
    return fail(ErrorCode::kInvalidArgument, "[evaluate] cost: expected a mistake that costs more than 0");
  return std::optional(cost);
}

// true, false, or {epsilons = [0.1], rows = 200, steps = 10}.
Result<std::optional<AttackOptions>> read_attacks(const JsonObject& evaluate) {
  const Json* json = json_find(evaluate, "attacks");
  if (json == nullptr) return std::optional<AttackOptions>();
  if (json->is_bool()) return json->get_bool() ? std::optional(AttackOptions()) : std::nullopt;
  if (!json->is_object())
    return fail(
        ErrorCode::kInvalidArgument,
        "[evaluate] attacks: expected true, false or {{epsilons = [0.1], rows = 200, steps = 10}}, got {}",
        dump_json(*json));
  AttackOptions attacks;
  Settings settings(*json, "evaluate.attacks");
  attacks.rows = settings.integer("rows", attacks.rows, 1, kMaxAttackRows);
  attacks.steps = settings.integer("steps", attacks.steps, 1, kMaxAttackSteps);
  const std::string_view epsilons = "epsilons";
  settings.known({&epsilons, 1});
  TRY(settings.finish());
  const Json* list = json_find(*json, epsilons);
  if (list == nullptr) return std::optional(attacks);
  attacks.epsilons.clear();
  if (list->is_array())
    for (const Json& each : list->get_array()) {
      const double epsilon = each.is_number() ? each.to_number<double>() : -1;
      if (epsilon > 0 && epsilon <= kMaxEpsilon) attacks.epsilons.push_back(epsilon);
    }
  if (attacks.epsilons.empty() || attacks.epsilons.size() != list->get_array().size() ||
      attacks.epsilons.size() > kMaxEpsilons)
    return fail(ErrorCode::kInvalidArgument,
                "[evaluate.attacks] epsilons: expected 1 to {} numbers above 0 and at most {}, got {}",
                kMaxEpsilons, kMaxEpsilon, dump_json(*list).substr(0, 100));
  return std::optional(attacks);
}

// false, true, or how many.
Result<int64_t> read_nearest(const JsonObject& evaluate) {
  const Json* json = json_find(evaluate, "nearest");
  if (json == nullptr) return 0;
  if (json->is_bool()) return json->get_bool() ? kNearest : 0;
  const int64_t n = json->is_int64() ? json->get_int64() : -1;
  if (n >= 0 && n <= kMaxNearest) return n;
  return fail(ErrorCode::kInvalidArgument,
              "[evaluate] nearest: expected true, false or at most {} training examples, got {}", kMaxNearest,
              dump_json(*json).substr(0, 100));
}

}  // namespace

Result<Evaluation> read_evaluation(const PredictSection& section) {
  const Json json(section.evaluate);
  Settings settings(json, "evaluate");
  Evaluation evaluation;
  evaluation.baselines = settings.flag("baselines", evaluation.baselines);
  evaluation.importance = settings.flag("importance", evaluation.importance);
  evaluation.robustness = settings.flag("robustness", evaluation.robustness);
  const Json* slices = json_find(json, "slices");
  const bool said = slices != nullptr && slices->is_bool();
  if (said) evaluation.all_slices = slices->get_bool();
  if (!said) evaluation.slices = settings.texts("slices");
  constexpr std::array<std::string_view, 4> kOthers = {"attacks", "cost", "nearest", "slices"};
  settings.known(kOthers);
  TRY(settings.finish());
  evaluation.cost = TRY(read_cost(section.evaluate));
  evaluation.attacks = TRY(read_attacks(section.evaluate));
  evaluation.nearest = TRY(read_nearest(section.evaluate));
  if (evaluation.cost && section.problem == "number")
    return fail(ErrorCode::kInvalidArgument,
                "[evaluate] cost is of two classes, not of problem = \"number\"");
  if ((evaluation.all_slices || !evaluation.slices.empty()) && section.kind == "image")
    return fail(ErrorCode::kInvalidArgument,
                "[evaluate] slices are of tables and texts, not of kind = \"{}\"", section.kind);
  return evaluation;
}

}  // namespace volant::predict
