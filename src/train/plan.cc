#include "train/plan.h"

#include <algorithm>
#include <fstream>

#include "base/progress.h"
#include "ops/torch/backend.h"
#include "train/train_state.h"

namespace volant {
namespace {

constexpr double kExpectedShare = 0.4;  // of the measured peak, over a whole step
constexpr int kExamples = 2;
constexpr size_t kExampleBytes = 1200;    // shown of each
constexpr uint64_t kReserve = 300 << 20;  // the program itself, libtorch, buffers of the loss

std::string example_text(const std::vector<Objective::Piece>& pieces, bool colour) {
  std::string out;
  size_t room = kExampleBytes;
  for (const Objective::Piece& piece : pieces) {
    if (room == 0) break;
    const std::string text = shortened(piece.text, room);
    room -= std::min(room, piece.text.size());
    out += piece.trained ? (colour ? "\x1b[32m" : "⟦") + text + (colour ? "\x1b[0m" : "⟧") : text;
  }
  return out;
}

}  // namespace

std::string shortened(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes) + " ...";
}

double optimizer_slots(const std::string& optimizer) {
  if (optimizer == "adafactor") return 0.01;
  return optimizer == "lion" || optimizer == "sgd" ? 1 : 2;
}

uint64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
  return 0;
}

RunPlan plan_run(const TrainJob& job, const ModelConfig& config, Objective& objective,
                 const TorchMemory& memory, double peak_flops, const Ranks& ranks) {
  RunPlan plan;
  plan.n_parameters = config.n_parameters();
  plan.n_trained = static_cast<int64_t>(memory.n_trained);
  plan.n_examples = objective.n_examples();
  plan.n_targets = objective.n_targets();
  plan.steps = job.steps;
  plan.steps_of_an_epoch = objective.steps_of_an_epoch();
  plan.weights = memory.trained + memory.frozen;
  plan.gradients = memory.gradients;
  const double slots = optimizer_slots(job.optimizer) + (job.ema_decay > 0 ? 1 : 0);
  plan.optimiser = static_cast<uint64_t>(4 * slots * static_cast<double>(memory.n_trained));
  if (job.shard != "none") plan.optimiser /= static_cast<uint64_t>(ranks.size());
  const auto n_ranks = static_cast<uint64_t>(ranks.size());
  plan.packed = memory.packed;
  if (job.shard == "gradients" || job.shard == "parameters") plan.gradients /= n_ranks;
  if (job.shard == "parameters" && n_ranks > 1 && memory.trained > 0) {
    // The rest of what is read at once is a rank's own, which lies elsewhere on GPUs (train/parts.h).
    const bool in_place = torch_backend() == TorchBackend::kKernels;
    plan.weights = memory.frozen + memory.trained / n_ranks +
                   (in_place ? memory.read_at_once / n_ranks * (n_ranks - 1) : memory.read_at_once);
    plan.packed = plan.packed / memory.trained * memory.read_at_once;
  }
  plan.activations = objective.activation_bytes(config) + kReserve;
  // What a GPU has free nobody tells us.
  plan.available = job.max_memory_gb > 0 ? static_cast<uint64_t>(job.max_memory_gb * 1e9)
                   : torch_backend() == TorchBackend::kCuda
                       ? 0
                       : available_memory() / static_cast<uint64_t>(ranks.local_size());
  const double flops =
      3 * config.row_flops(true) * objective.rows_of_a_step(job) * static_cast<double>(job.steps);
  plan.seconds = flops / (kExpectedShare * peak_flops * ranks.size());
  if (job.max_seconds > 0) plan.seconds = std::min(plan.seconds, job.max_seconds);
  plan.examples = objective.preview(kExamples);
  return plan;
}

Status check_plan(const RunPlan& plan) {
  if (plan.n_targets == 0) return fail(ErrorCode::kInvalidArgument, "there is nothing to learn in the data");
  if (plan.n_trained == 0)
    return fail(ErrorCode::kInvalidArgument, "expected parameters to train, but all are frozen");
  if (plan.available > 0 && plan.bytes() > plan.available)
    return fail(
        ErrorCode::kLimit,
        "this run needs about {}, and {} is free; a smaller micro_batch_tokens, optimizer = \"adafactor\" "
        "or an adapter needs less",
        format_bytes(static_cast<double>(plan.bytes())), format_bytes(static_cast<double>(plan.available)));
  return {};
}

Json RunPlan::to_json() const {
  return JsonObject{{"n_parameters", n_parameters},
                    {"n_trained", n_trained},
                    {"n_examples", n_examples},
                    {"n_targets", n_targets},
                    {"steps", steps},
                    {"steps_of_an_epoch", steps_of_an_epoch},
                    {"weight_bytes", weights},
                    {"gradient_bytes", gradients},
                    {"optimizer_bytes", optimiser},
                    {"packed_bytes", packed},
                    {"activation_bytes", activations},
                    {"bytes", bytes()},
                    {"seconds", seconds}};
}

std::string RunPlan::describe(bool colour) const {
  const auto size = [](uint64_t n) { return format_bytes(static_cast<double>(n)); };
  const auto count = [](auto n) { return format_count(static_cast<uint64_t>(n)); };
  std::string out = fmt::format("trains  {} of {} parameters\n", count(n_trained), count(n_parameters));
  out +=
      fmt::format("data    {} examples, {} targets; {} steps, {:.1f} passes\n", count(n_examples),
                  count(n_targets), count(steps),
                  static_cast<double>(steps) / static_cast<double>(std::max<int64_t>(1, steps_of_an_epoch)));
  out +=
      fmt::format("memory  about {}: weights {}, gradients {}, optimiser {}, packed {}, activations {}{}\n",
                  size(bytes()), size(weights), size(gradients), size(optimiser), size(packed),
                  size(activations), available > 0 ? fmt::format("; {} free", size(available)) : "");
  out += fmt::format("time    about {}\n", format_duration(seconds));
  if (!examples.empty())
    out += colour ? "what is learned is green:\n" : "what is learned stands between ⟦ and ⟧:\n";
  for (const auto& pieces : examples) out += "  " + example_text(pieces, colour) + "\n";
  return out;
}

}  // namespace volant
