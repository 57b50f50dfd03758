// One dial: the model and the length of its training for the data and the time at hand.
//
// The rule is the law of Hoffmann et al. 2022 ("Training Compute-Optimal Large Language Models") for the loss
// of N parameters trained on D tokens, E + A / N^0.34 + B / D^0.28, with repeated tokens counted as by
// Muennighoff et al. 2023 ("Scaling Data-Constrained Language Models"): a text read again is worth less each
// time. The paper's A and B are those of its own text and of models a thousand times larger; here a pilot
// run on this machine stands for them, the smallest model of the ladder for a twentieth of the time: what it
// reaches above E is taken to be half due to its parameters and half to its tokens, as on the paper's
// compute-optimal line. E, what no model can lower, is the paper's by the byte of text, whatever the tokens;
// texts differ in it. The pilot also says how fast the machine is. Loss is nats per token.
#pragma once
#include "train/objective.h"

namespace volant {

// Of the budget, for training; the pilot, evaluations and checkpoints take the rest.
inline constexpr double kTrainShare = 0.92;

struct SizeChoice {
  JsonObject model_config;  // Hugging Face fields
  int64_t steps = 0;
  double tokens = 0, passes = 0;  // of training
  double predicted_loss = 0;      // of the validation set at the end
  double floor = 0;               // of that, what no model can lower
  double pilot_loss = 0, pilot_tokens = 0, pilot_parameters = 0;
  double tokens_per_second = 0;

  Json to_json() const;
  static Result<SizeChoice> from_json(const Json& json);
  std::string describe() const;
};

// E in nats per token of so many bytes on the mean.
double loss_floor(double bytes_per_token);
// What a pilot of so many parameters and tokens reached, carried over to others; never below `floor`, which
// counts as far as the pilot did not pass it.
double predicted_loss(double pilot_loss, double floor, double pilot_parameters, double pilot_tokens,
                      double n_parameters, double n_tokens);
// Tokens of the same worth seen once: `unique` of them, `seen` in all.
double effective_tokens(double unique, double seen);
// The widths that are tried: a Llama of `step` 0, 1, ... with about twice the parameters of the one before.
JsonObject ladder_config(const JsonObject& base, int step);
int ladder_size();

// `objective` is read for the pilot and put back. `base`: fields that the user has set (vocab_size at least).
// kInvalidArgument when budget_seconds is too short for any of them.
Result<SizeChoice> choose_size(const TrainJob& job, const JsonObject& base, Objective& objective, bool bf16,
                               double peak_flops);

}  // namespace volant
