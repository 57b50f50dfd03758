#include "cli/eval_trainings.h"

#include <cstdio>
#include <optional>

#include "base/progress.h"
#include "cli/eval_tools.h"
#include "cli/print.h"
#include "cli/usage_error.h"
#include "wheel/predict/cross_validation.h"
#include "wheel/predict/learning_curve.h"
#include "wheel/predict/seeds.h"

namespace volant::cli {

void add_training_options(CLI::App& command, TrainingFlags& flags) {
  command
      .add_option(
          "--cv", flags.folds,
          "Workspace of predictions: cross-validation with so many folds, each trained by a process of "
          "its own; stopped, the same command goes on")
      ->check(CLI::Range(2, 1000));
  command.add_option("--repeats", flags.repeats, "--cv: all folds again, dealt anew")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--cv-kind", flags.kind,
                  "--cv: stratified, random, group or time; default: as [data] split says, or by problem")
      ->check(CLI::IsMember({"stratified", "random", "group", "time"}));
  command.add_flag("--separate-inputs", flags.separate_inputs,
                   "--cv by group or time: learn from no row whose input the fold tests (folds of the other "
                   "kinds never do)");
  command
      .add_option(
          "--seeds", flags.seeds,
          "Workspace of predictions: train so many times on the same rows with other seeds, from --seed "
          "on: how much is luck")
      ->check(CLI::Range(2, 1000));
  command.add_option("--parallel", flags.parallel, "--cv, --learning-curve, --seeds: trainings at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command
      .add_option(
          "--learning-curve", flags.shares,
          "Workspace of predictions: train on these shares of the training rows, and say what more data "
          "would give: 0.1,0.25,0.5,1")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0));
}

Status refuse_training_options(const CLI::App& command) {
  for (const char* name : {"--repeats", "--cv-kind", "--separate-inputs", "--parallel"})
    if (command.count(name) > 0)
      return fail(ErrorCode::kInvalidArgument, "{} needs --cv{}", name,
                  std::string_view(name) == "--parallel" ? ", --learning-curve or --seeds" : "");
  return {};
}

Result<int> eval_trainings(const CLI::App& command, const TrainingFlags& flags, const std::string& folder,
                           uint64_t seed, int n_threads, const std::string& html, bool json) {
  const bool folds = flags.folds > 0, seeds = !folds && flags.seeds > 0;
  const char* asked = folds ? "--cv" : seeds ? "--seeds" : "--learning-curve";
  std::vector<std::string> used{"--workspace", "--parallel", "--seed", "--threads", "--html", "--json"};
  if (folds) used.insert(used.end(), {"--repeats", "--cv-kind", "--separate-inputs"});
  used.emplace_back(asked);
  TRY(refuse_flags_but(command, used, asked));
  const auto workspace = TRY(Workspace::open(folder));
  const size_t n = folds   ? static_cast<size_t>(flags.folds) * static_cast<size_t>(flags.repeats)
                   : seeds ? static_cast<size_t>(flags.seeds)
                           : flags.shares.size();
  std::optional<Progress> progress;  // begins when what was asked for is known to be possible
  predict::TrialOptions trials;
  trials.parallel = flags.parallel;
  trials.n_threads = n_threads;
  trials.on_done = [&](size_t done) {
    if (!progress)
      progress.emplace(folds ? "cross-validate" : seeds ? "other seeds" : "learning curve", n, "trainings");
    progress->update(done);
  };
  EvalReport report =
      TRY(folds   ? predict::cross_validate(*workspace, {.k = flags.folds,
                                                         .repeats = flags.repeats,
                                                         .kind = flags.kind,
                                                         .seed = seed,
                                                         .separate_inputs = flags.separate_inputs,
                                                         .trials = trials})
          : seeds ? predict::repeat_seeds(*workspace, {.n = flags.seeds, .seed = seed, .trials = trials})
                  : predict::learning_curve(*workspace,
                                            {.shares = flags.shares, .seed = seed, .trials = trials}));
  if (progress) progress->finish();
  if (!html.empty()) {
    TRY(write_file_atomic(html, to_html(report)));
    std::fprintf(stderr, "Report: %s\n", html.c_str());
  }
  if (json)
    print_json(to_json(report));
  else
    print_eval_report(report);
  return 0;
}

}  // namespace volant::cli
