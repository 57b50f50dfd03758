#include "train/size_auto.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "train/model_folder.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace volant {
namespace {

constexpr double kAlpha = 0.34, kBeta = 0.28;
constexpr double kFloorPerByte =
    0.39;  // Hoffmann et al.: E = 1.69 nats a token, of about 4.3 bytes of English
constexpr double kRepeatsWorth = 15.39;  // Muennighoff et al.: R* of tokens
constexpr double kPilotShare = 0.05;     // of the budget
constexpr double kMaxPasses = 40;
constexpr int64_t kMinSteps = 20;

struct Rung {
  int64_t hidden_size, num_hidden_layers, num_attention_heads;
};
constexpr std::array kLadder = {Rung{64, 2, 2},     Rung{96, 3, 3},     Rung{128, 4, 4},
                                Rung{192, 4, 6},    Rung{256, 4, 8},    Rung{320, 6, 10},
                                Rung{448, 6, 14},   Rung{576, 8, 18},   Rung{768, 10, 24},
                                Rung{1024, 12, 32}, Rung{1280, 16, 40}, Rung{1600, 20, 50}};

struct Pilot {
  double loss = 0, floor = 0, tokens = 0, parameters = 0, mfu = 0;
};

// The smallest model, trained for a twentieth of the time with a schedule of its own.
Result<Pilot> run_pilot(const TrainJob& job, const ModelConfig& config, Objective& objective, bool bf16,
                        double peak_flops) {
  TorchModel model = TRY(TorchModel::create(config, {.bf16 = bf16}));
  TRY(fill_starting_weights(job, model));
  TrainJob own = job;
  own.max_seconds = kPilotShare * job.budget_seconds;
  own.steps = INT32_MAX;
  own.warmup_steps = 5;
  const auto optimiser = make_optimizer(own, model);
  const Json begin = objective.state();
  Pilot pilot;
  pilot.parameters = static_cast<double>(config.n_parameters());
  Progress progress("pilot", 0, "tokens");
  double flops = 0, last = 0;
  const double started = steady_seconds();
  for (int64_t step = 0; steady_seconds() - started < own.max_seconds || step < kMinSteps; ++step) {
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped; the same command starts anew");
    model.begin_step(static_cast<uint64_t>(step));
    const StepLoss result = TRY(objective.step(model));
    const double norm = gradient_norm(model),
                 clip = job.grad_clip > 0 ? std::max(1.0, norm / job.grad_clip) : 1;
    const double rate = learning_rate(own, step, train_progress(own, 0, steady_seconds() - started));
    optimiser->step(model, step, rate, 1 / clip);
    flops += result.flops;
    pilot.tokens += static_cast<double>(result.tokens);
    last = step == 0 ? result.loss : 0.9 * last + 0.1 * result.loss;
    progress.update(static_cast<uint64_t>(pilot.tokens), fmt::format("loss {:.3f}", last));
  }
  pilot.mfu = flops / (steady_seconds() - started) / peak_flops;
  pilot.loss = last;
  if (objective.can_evaluate()) {
    const Evaluation held_out = TRY(objective.evaluate(model));
    pilot.loss = held_out.loss;
    if (held_out.bits_per_byte > 0)
      pilot.floor = loss_floor(held_out.loss / (std::numbers::ln2 * held_out.bits_per_byte));
  }
  progress.finish(fmt::format("loss {:.4f}", pilot.loss));
  TRY(objective.restore(begin));
  return pilot;
}

}  // namespace

double loss_floor(double bytes_per_token) { return kFloorPerByte * bytes_per_token; }

double predicted_loss(double pilot_loss, double floor, double pilot_parameters, double pilot_tokens,
                      double n_parameters, double n_tokens) {
  const double least = std::min(floor, pilot_loss);
  return least +
         (pilot_loss - least) * 0.5 *
             (std::pow(pilot_parameters / n_parameters, kAlpha) + std::pow(pilot_tokens / n_tokens, kBeta));
}

double effective_tokens(double unique, double seen) {
  if (seen <= unique) return seen;
  return unique + unique * kRepeatsWorth * (1 - std::exp(-(seen / unique - 1) / kRepeatsWorth));
}

int ladder_size() { return static_cast<int>(kLadder.size()); }

JsonObject ladder_config(const JsonObject& base, int step) {
  const Rung& rung = kLadder[static_cast<size_t>(step)];
  JsonObject config = base;
  config["hidden_size"] = rung.hidden_size;
  config["num_hidden_layers"] = rung.num_hidden_layers;
  config["num_attention_heads"] = rung.num_attention_heads;
  config["num_key_value_heads"] =
      rung.num_attention_heads % 2 == 0 ? rung.num_attention_heads / 2 : rung.num_attention_heads;
  // 8/3 of the width, in whole cache lines.
  config["intermediate_size"] = (rung.hidden_size * 8 / 3 + 31) / 32 * 32;
  if (!config.contains("tie_word_embeddings")) config["tie_word_embeddings"] = true;
  return config;
}

Result<SizeChoice> choose_size(const TrainJob& job, const JsonObject& base, Objective& objective, bool bf16,
                               double peak_flops) {
  const ModelConfig smallest = TRY(ModelConfig::from_json(ladder_config(base, 0)));
  const Pilot pilot = TRY(run_pilot(job, smallest, objective, bf16, peak_flops));
  const auto unique = static_cast<double>(objective.n_targets());
  const double pilot_tokens = effective_tokens(unique, pilot.tokens);
  SizeChoice best;
  best.floor = pilot.floor;
  best.pilot_loss = pilot.loss;
  best.pilot_tokens = pilot.tokens;
  best.pilot_parameters = pilot.parameters;
  for (int step = 0; step < ladder_size(); ++step) {
    JsonObject fields = ladder_config(base, step);
    const ModelConfig config = TRY(ModelConfig::from_json(fields));
    const double rate = pilot.mfu * peak_flops / (3 * config.row_flops(true));
    const double tokens = std::min(rate * kTrainShare * job.budget_seconds, kMaxPasses * unique);
    if (tokens < static_cast<double>(kMinSteps * job.tokens_per_step)) break;
    const double loss =
        predicted_loss(pilot.loss, pilot.floor, pilot.parameters, pilot_tokens,
                       static_cast<double>(config.n_parameters()), effective_tokens(unique, tokens));
    if (best.steps > 0 && loss >= best.predicted_loss) continue;
    best.model_config = std::move(fields);
    best.predicted_loss = loss;
    best.tokens = tokens;
    best.passes = tokens / unique;
    best.steps = std::llround(tokens / static_cast<double>(job.tokens_per_step));
    best.tokens_per_second = rate;
  }
  if (best.steps == 0)
    return fail(
        ErrorCode::kInvalidArgument,
        "a budget of {} is too short for {} steps of {} tokens with the smallest model; a longer one or a "
        "smaller tokens_per_step helps",
        format_duration(job.budget_seconds), kMinSteps, job.tokens_per_step);
  return best;
}

Json SizeChoice::to_json() const {
  return JsonObject{{"model_config", model_config},
                    {"steps", steps},
                    {"tokens", tokens},
                    {"passes", passes},
                    {"predicted_loss", predicted_loss},
                    {"floor", floor},
                    {"pilot_loss", pilot_loss},
                    {"pilot_tokens", pilot_tokens},
                    {"pilot_parameters", pilot_parameters},
                    {"tokens_per_second", tokens_per_second}};
}

Result<SizeChoice> SizeChoice::from_json(const Json& json) {
  SizeChoice choice;
  const Json* config = json_find(json, "model_config");
  if (config == nullptr || !config->is_object())
    return fail(ErrorCode::kParse, "expected an object 'model_config'");
  choice.model_config = config->as_object();
  choice.steps = TRY(json_int(json, "steps"));
  choice.tokens = TRY(json_number(json, "tokens"));
  choice.passes = TRY(json_number(json, "passes"));
  choice.predicted_loss = TRY(json_number(json, "predicted_loss"));
  choice.floor = TRY(json_number_or(json, "floor", 0));
  choice.pilot_loss = TRY(json_number(json, "pilot_loss"));
  choice.pilot_tokens = TRY(json_number(json, "pilot_tokens"));
  choice.pilot_parameters = TRY(json_number(json, "pilot_parameters"));
  choice.tokens_per_second = TRY(json_number(json, "tokens_per_second"));
  return choice;
}

std::string SizeChoice::describe() const {
  return fmt::format("size    {} layers, {} wide; {} tokens, {:.1f} passes; expected final loss {:.3f}\n",
                     json_int_or(Json(model_config), "num_hidden_layers", 0).value_or(0),
                     json_int_or(Json(model_config), "hidden_size", 0).value_or(0),
                     format_count(static_cast<uint64_t>(tokens)), passes, predicted_loss);
}

}  // namespace volant
