// `volant train`: one training job, by volant-train beside this program: a job file as it is, or a recipe or
// flags from which the job file is written.
#include <memory>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/usage_error.h"
#include "wheel/launch.h"
#include "wheel/recipe.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string recipe, job, model, size, tokenizer, out, objective, dtype = "auto", save_dtype = "f32", launch;
  std::vector<std::string> data, validation;
  double epochs = 3, budget_seconds = 0, validation_share = 0, lr = 1e-4, max_minutes = 0, weight_decay = 0;
  int64_t steps = 0, max_seq_len = 256, tokens_per_step = 2048, seed = 1, threads = 0, evaluate_every = 50,
          patience = 0;
  bool json = false, plan = false;
};

// The flags as a recipe.
JsonObject recipe_of(const Flags& flags) {
  const auto absolute = [](const std::vector<std::string>& files) {
    JsonArray list;
    for (const std::string& file : files) list.push_back(Json(std::filesystem::absolute(file).string()));
    return list;
  };
  JsonObject data{{"train", absolute(flags.data)}};
  if (!flags.validation.empty()) data["validation"] = absolute(flags.validation);
  if (flags.validation_share > 0) data["validation_share"] = flags.validation_share;
  const JsonObject model = flags.size.empty()
                               ? JsonObject{{"init_from", std::filesystem::absolute(flags.model).string()}}
                               : JsonObject{{"size", flags.size}};
  JsonObject recipe{{"model", model},
                    {"data", std::move(data)},
                    {"seed", flags.seed},
                    {"dtype", flags.dtype},
                    {"save_dtype", flags.save_dtype},
                    {"max_seq_len", flags.max_seq_len},
                    {"tokens_per_step", flags.tokens_per_step},
                    {"micro_batch_tokens", std::min<int64_t>(flags.tokens_per_step, 4096)},
                    {"max_seconds", flags.max_minutes * 60},
                    {"lr", flags.lr},
                    {"warmup_steps", 10},
                    {"weight_decay", flags.weight_decay},
                    {"evaluate_every", flags.evaluate_every},
                    {"checkpoint_every", flags.evaluate_every},
                    {"patience", flags.patience},
                    {"n_threads", flags.threads}};
  if (!flags.objective.empty()) recipe["objective"] = flags.objective;
  if (!flags.tokenizer.empty()) recipe["tokenizer"] = std::filesystem::absolute(flags.tokenizer).string();
  if (flags.budget_seconds > 0) {
    recipe["budget_seconds"] = flags.budget_seconds;
  } else if (flags.steps > 0) {
    recipe["steps"] = flags.steps;
  } else {
    recipe["epochs"] = flags.epochs;
  }
  return recipe;
}

// Of the named recipe: a run that has begun goes on.
Result<Path> job_of_recipe(const Flags& flags) {
  const JsonObject recipe = TRY(load_recipe(flags.recipe));
  Path out = flags.out;
  if (out.empty()) out = Path(flags.recipe).parent_path() / "runs" / Path(flags.recipe).stem();
  if (!flags.out.empty() || !run_has_begun(out)) {
    auto written = write_recipe_job(recipe, out);
    if (!written) return std::move(written).error().at(flags.recipe);
    return written;
  }
  const Path job = out / "job.json";
  std::error_code error;
  if (std::filesystem::last_write_time(flags.recipe, error) > std::filesystem::last_write_time(job, error))
    log_warning("{} was changed after its run in {} began, which goes on as it began; --out begins anew",
                flags.recipe, out.string());
  return job;
}

// The job to run: the one named, the recipe's, or that of the flags.
Result<Path> job_of(const CLI::App& command, const Flags& flags) {
  if (!flags.job.empty()) {
    TRY(refuse_flags_but(command, {"--job", "--launch", "--plan", "--json"}, "--job, which says everything"));
    return Path(flags.job);
  }
  if (!flags.recipe.empty()) {
    TRY(refuse_flags_but(command, {"recipe", "--out", "--launch", "--plan", "--json"},
                         "a recipe, which says everything"));
    return job_of_recipe(flags);
  }
  const bool anew = !flags.size.empty() && !flags.tokenizer.empty();
  if ((flags.model.empty() && !anew) || flags.data.empty() || flags.out.empty())
    return fail(
        ErrorCode::kInvalidArgument,
        "expected a recipe, --job FILE, or --model (or --size auto, --budget and --tokenizer), --data and "
        "--out");
  return write_recipe_job(recipe_of(flags), flags.out);
}

Result<int> train(const CLI::App& command, const Flags& flags) {
  const Path job = TRY(job_of(command, flags));

  const int status = TRY(launch_trainer(job, TRY(parse_launch(flags.launch)), flags.plan));
  if (status != 0 || flags.plan) return status;
  const Path model = std::filesystem::absolute(job).parent_path() / "model";
  if (flags.json) {
    print_json(JsonObject{{"job", job.string()}, {"model", model.string()}});
  } else {
    print_line(
        fmt::format("The model is in {}.\nTry: volant chat --model {}", model.string(), model.string()));
  }
  return 0;
}

}  // namespace

void add_train(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("train", "Train or fine-tune a model, outside of a workspace");
  auto flags = std::make_shared<Flags>();
  app->add_option("recipe", flags->recipe,
                  "A recipe (TOML); its run goes to runs/NAME beside it, or to --out");
  app->add_option("--job", flags->job,
                  "A job.json; its folder takes the results. Goes on where it was stopped");
  CLI::Option* model = app->add_option("--model", flags->model, "Hugging Face folder to start from");
  CLI::Option* size = app->add_option("--size", flags->size,
                                      "auto: a new model, as large and as long as data and --budget allow")
                          ->check(CLI::IsMember({"auto"}))
                          ->excludes(model);
  CLI::Option* budget =
      app->add_option("--budget", flags->budget_seconds, "Time for --size auto: 600, 10m, 2h")
          ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}}))
          ->check(CLI::PositiveNumber)
          ->needs(size);
  size->needs(budget);
  app->add_option("--tokenizer", flags->tokenizer, "Folder with the tokenizer of a new model");
  app->add_option(
      "--data", flags->data,
      "Texts (.txt, .md) or rows: JSON Lines or a JSON array with text, messages, instruction/output, "
      "conversations, prompt/chosen/rejected (.gz, .zst too)");
  app->add_option("--objective", flags->objective,
                  "pretrain, sft, dpo, ipo, kto, orpo, simpo...; default: what the rows are for");
  CLI::Option* validation = app->add_option("--validation", flags->validation,
                                            "The same, held out: decides which weights are kept");
  app->add_option("--validation-share", flags->validation_share, "Or this share of the rows")
      ->check(CLI::Range(0.0, 0.5))
      ->excludes(validation);
  app->add_option("--out", flags->out, "New folder for job, events, checkpoints and the finished model");
  CLI::Option* epochs = app->add_option("--epochs", flags->epochs, "Passes over the data")
                            ->capture_default_str()
                            ->check(CLI::PositiveNumber)
                            ->excludes(budget);
  app->add_option("--steps", flags->steps, "Steps instead of passes")
      ->check(CLI::PositiveNumber)
      ->excludes(epochs)
      ->excludes(budget);
  app->add_option("--max-minutes", flags->max_minutes, "Ends the schedule by then; 0: no limit")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e7));
  app->add_option("--lr", flags->lr, "Highest learning rate")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 10.0));
  app->add_option("--weight-decay", flags->weight_decay, "Of AdamW, on matrices")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 10.0));
  app->add_option("--tokens-per-step", flags->tokens_per_step, "Tokens of one step")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 26));
  app->add_option("--max-seq-len", flags->max_seq_len, "Longest piece of a text")
      ->capture_default_str()
      ->check(CLI::Range(2, 1 << 17));
  app->add_option("--evaluate-every", flags->evaluate_every, "Steps between evaluations")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30));
  app->add_option("--patience", flags->patience, "Evaluations without progress before the end; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  app->add_option("--dtype", flags->dtype, "Arithmetic: auto, bf16, f32")->capture_default_str();
  app->add_option("--save-dtype", flags->save_dtype, "Of the finished model: f32, bf16, f16")
      ->capture_default_str();
  app->add_option("--seed", flags->seed, "Of order and start")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30));
  app->add_option("--threads", flags->threads, "0: one for each core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app->add_option("--launch", flags->launch,
                  "Processes that train together: local:N on this machine, slurm or mpi (or slurm:N, mpi:N)");
  app->add_flag("--plan", flags->plan, "Say what it would do (data, memory, time) and train nothing");
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Examples:\n"
      "  volant train --model models/stories15M --data poems.txt --out runs/poems --epochs 2\n"
      "  volant train --model models/chat --data answers.jsonl --out runs/answers --lr 5e-5\n"
      "  volant train --model models/chat --data pairs.jsonl --objective dpo --out runs/dpo\n"
      "  volant train --size auto --budget 10m --tokenizer models/chat --data stories.txt --out runs/new\n"
      "  volant train recipe.toml\n"
      "  volant train --job runs/answers/job.json\n"
      "  volant train recipe.toml --launch local:2");
  app->callback([app, &action, flags] { action = [app, flags] { return train(*app, *flags); }; });
}

}  // namespace volant::cli
