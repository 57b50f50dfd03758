#include "wheel/trainer.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <thread>

#include "base/clock.h"
#include "base/stop.h"
#include "io/lock_file.h"
#include "io/process.h"

namespace volant {
namespace {

constexpr auto kStopPoll = std::chrono::milliseconds(100);
constexpr double kLastTrainerSeconds = 60;
constexpr size_t kLastWords = 6;

Json number_or_null(const Json* value) { return value == nullptr ? Json() : *value; }

// The figures of a finished run, from its events.
Json summary_of(const JsonArray& events) {
  JsonObject summary;
  double best = 0;
  for (const Json& event : events) {
    const std::string type = json_string_or(event, "type", "").value_or("");
    if (type == "start") {
      summary["n_parameters"] = number_or_null(json_find(event, "n_parameters"));
    } else if (type == "step") {
      summary["steps"] = number_or_null(json_find(event, "step"));
      summary["loss"] = number_or_null(json_find(event, "loss"));
      summary["tokens"] = number_or_null(json_find(event, "tokens"));
      summary["tokens_per_second"] = number_or_null(json_find(event, "tokens_per_second"));
    } else if (type == "eval") {
      summary["validation_loss"] = number_or_null(json_find(event, "loss"));
      const double bits = json_number_or(event, "bits_per_byte", 0).value_or(0);
      if (bits > 0 && (best == 0 || bits < best)) best = bits;
    }
  }
  if (best > 0) summary["validation_bits_per_byte"] = best;
  return summary;
}

// A trainer whose wheel was killed saves a checkpoint and ends; until then it holds the run's folder.
Status wait_for_last_trainer(const Path& dir) {
  const double started = steady_seconds();
  for (;;) {
    const auto lock = LockFile::acquire(dir / "train.lock");
    if (lock) return {};
    if (lock.error().code != ErrorCode::kConflict || steady_seconds() - started > kLastTrainerSeconds) {
      return lock.error();
    }
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped; the same command goes on from here");
    std::this_thread::sleep_for(kStopPoll);
  }
}

// What the trainer itself said last: in its events, or else on standard output.
std::string last_words(const Path& dir, const std::deque<std::string>& lines) {
  const auto events = read_events(dir / "events.jsonl");
  if (events && !events->empty()) {
    const std::string error = json_string_or(events->back(), "error", "").value_or("");
    if (!error.empty()) return ": " + error;
  }
  std::string words;
  for (const std::string& line : lines) words += "\n  " + line;
  return words;
}

Error trainer_failed(const ProcessExit& exit, const Path& dir, const std::deque<std::string>& lines) {
  const bool signalled = exit.status == -1;
  const std::string how = signalled ? fmt::format("was ended by signal {}", exit.signal)
                                    : fmt::format("ended with status {}", exit.status);
  const char* hint = exit.signal == SIGKILL ? " (out of memory, or killed by hand)" : "";
  const auto means = [&](ErrorCode code) { return exit.status == error_code_info(code).exit_status; };
  const bool refused = means(ErrorCode::kInvalidArgument) || means(ErrorCode::kParse);
  return fail(signalled ? ErrorCode::kUnavailable : ErrorCode::kIo, "volant-train {}{}{}; {}", how, hint,
              signalled ? "" : last_words(dir, lines),
              refused ? "mend that and give the same command again"
                      : "the same command goes on from its last checkpoint")
      .at(dir.filename().string());
}

}  // namespace

Json pretrain_job(const WorkspaceConfig& config, const Json& model, const Path& tokenizer,
                  const Path& shards) {
  const TrainSection& train = config.train;
  return JsonObject{{"objective", "pretrain"},
                    {"model", model},
                    {"tokenizer", tokenizer.string()},
                    {"data", JsonObject{{"train_shard", (shards / "train").string()},
                                        {"validation_shard", (shards / "validation").string()}}},
                    {"seed", train.seed},
                    {"dtype", train.dtype},
                    {"max_seq_len", train.max_seq_len},
                    {"tokens_per_step", train.tokens_per_step},
                    {"micro_batch_tokens", train.micro_batch_tokens},
                    {"steps", train.steps},
                    {"max_seconds", train.max_minutes * 60},
                    {"lr", train.lr},
                    {"min_lr_ratio", train.min_lr_ratio},
                    {"warmup_steps", train.warmup_steps},
                    {"weight_decay", train.weight_decay},
                    {"beta1", train.beta1},
                    {"beta2", train.beta2},
                    {"eps", train.eps},
                    {"grad_clip", train.grad_clip},
                    {"evaluate_every", train.evaluate_every},
                    {"checkpoint_every", train.checkpoint_every},
                    {"patience", train.patience},
                    {"n_threads", train.n_threads},
                    {"shard", train.shard},
                    {"checkpoint_activations", train.checkpoint_activations},
                    {"device", train.device}};
}

Result<ProcessOptions> trainer_options(const Path& job_file, bool plan_only, const Path& log) {
  const Path program = program_dir() / "volant-train";
  std::error_code error;
  if (!std::filesystem::exists(program, error)) {
    return fail(ErrorCode::kNotFound, "expected the trainer beside volant; build it with -DVOLANT_TORCH=ON")
        .at(program.string());
  }
  ProcessOptions options;
  options.arguments = {program.string(), "--job", job_file.string()};
  if (plan_only) options.arguments.emplace_back("--plan");
  options.stderr_file = log;
  // Threads that wait look for work about 20 microseconds long and then sleep: small models have many short
  // loops, and threads that never sleep are several times slower beside other work.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    options.environment["OMP_WAIT_POLICY"] = "passive";
    options.environment["GOMP_SPINCOUNT"] = "10000";
  }
  return options;
}

namespace {
// The trainer's end, and what it said last on standard output.
Result<ProcessExit> start_and_wait(const Path& job_file, const Path& log, const Launch& launch,
                                   std::deque<std::string>& words) {
  if (launch.kind != Launch::Kind::kOne)
    return ProcessExit{.status = TRY(launch_trainer(job_file, launch, false, log))};
  Process child = TRY(Process::start(TRY(trainer_options(job_file, false, log))));
  return child.wait([&](std::string_view line) {
    words.emplace_back(line);
    if (words.size() > kLastWords) words.pop_front();
    return true;
  });
}
}  // namespace

Result<TrainedModel> run_trainer(const Path& dir, const Json& job, const Path& log, const Launch& launch) {
  TRY(wait_for_last_trainer(dir));
  const Path job_file = dir / "job.json";
  TRY(write_file_atomic(job_file, dump_json_pretty(job)));
  std::deque<std::string> words;
  const ProcessExit exit = TRY(start_and_wait(job_file, log, launch, words));
  if (exit.status == kStoppedStatus || (stop_requested() && exit.status != 0)) {
    return fail(ErrorCode::kCancelled, "training stopped; the same command goes on from its checkpoint");
  }
  if (exit.status != 0) {
    Error error = trainer_failed(exit, dir, words);
    if (!log.empty()) error.message += "; what it said is in " + log.string();
    return error;
  }
  const Path model = dir / "model";
  std::error_code error;
  if (!std::filesystem::exists(model / "model.safetensors", error)) {
    return fail(ErrorCode::kInternal, "volant-train finished without a model").at(model.string());
  }
  return TrainedModel{model, summary_of(TRY(read_events(dir / "events.jsonl")))};
}

void drop_checkpoints(const Registry& registry, const std::string& run_id) {
  (void)volant::remove_all(run_dir(registry, run_id) / "checkpoints");
}

}  // namespace volant
