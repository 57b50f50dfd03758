// What a run will do, said before it starts: how much is trained, what it needs of memory and time, and what
// it learns from, as a person can read it.
#pragma once
#include "train/objective.h"
#include "train/optimizer.h"

namespace volant {

struct RunPlan {
  int64_t n_parameters = 0, n_trained = 0;
  uint64_t n_examples = 0, n_targets = 0;
  int64_t steps = 0, steps_of_an_epoch = 0;
  // Bytes.
  uint64_t weights = 0, gradients = 0, optimiser = 0, packed = 0, activations = 0;
  uint64_t available = 0;  // what the machine has free, or the job's own limit
  double seconds = 0;      // expected
  std::vector<std::vector<Objective::Piece>> examples;

  uint64_t bytes() const { return weights + gradients + optimiser + packed + activations; }
  Json to_json() const;
  // For people. Text that is learned from is green, or between ⟦ and ⟧ without `colour`.
  std::string describe(bool colour) const;
};

// Before the model is made: `memory` is what it will hold. `peak_flops`: measured on this machine, by each
// process. What is free is divided among the processes of a machine.
RunPlan plan_run(const TrainJob& job, const ModelConfig& config, Objective& objective,
                 const TorchMemory& memory, double peak_flops, const Ranks& ranks = Ranks::alone());
// kLimit when it would not fit into memory, kInvalidArgument when nothing would be learned.
Status check_plan(const RunPlan& plan);

// A text cut after so many bytes, not inside a character, with "..." where something is missing.
std::string shortened(const std::string& text, size_t bytes);
// Numbers that an optimiser keeps for each trained one: 2 for AdamW, 1 for Lion and SGD, nearly 0 for
// Adafactor.
double optimizer_slots(const std::string& optimizer);
// Bytes that a new program could use without swapping.
uint64_t available_memory();

}  // namespace volant
