// `volant train`: one training job, by volant-train beside this program: a job file as it is, or a model and
// data from which the job file is written.
#include <csignal>
#include <memory>

#include "cli/commands.h"
#include "cli/print.h"
#include "data/pack.h"
#include "io/jsonl.h"
#include "io/process.h"
#include "models/checkpoint.h"
#include "wheel/trainer.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string job, model, out, dtype = "auto", save_dtype = "f32";
  std::vector<std::string> data, validation;
  double epochs = 3, lr = 1e-4, max_minutes = 0, weight_decay = 0;
  int64_t steps = 0, max_seq_len = 256, tokens_per_step = 2048, seed = 1, threads = 0, evaluate_every = 50,
          patience = 0;
  bool json = false;
};

bool is_jsonl(const Path& path) {
  const Path name = path.extension() == ".zst" || path.extension() == ".gz" ? path.stem() : path.filename();
  return name.extension() == ".jsonl";
}

// All data as one file of rows; says whether there are conversations among them.
Result<bool> gather_rows(const std::vector<std::string>& files, const Path& out) {
  JsonlWriter writer = TRY(JsonlWriter::create(out));
  bool conversations = false;
  for (const std::string& file : files) {
    if (!is_jsonl(file)) {
      TRY(writer.write(JsonObject{{"text", TRY(read_file(file))}}));
      continue;
    }
    JsonlReader reader = TRY(JsonlReader::open(file));
    while (true) {
      const std::optional<Json> row = TRY(reader.next());
      if (!row) break;
      conversations = conversations || json_find(*row, "messages") != nullptr;
      TRY(writer.write(*row));
    }
  }
  TRY(writer.finish());
  return conversations;
}

// The data in the run's folder: rows for conversations, token shards for texts.
Result<JsonObject> write_data(const Flags& flags, const Path& folder, bool& conversations) {
  const Path rows = folder / "train.jsonl", held_out = folder / "validation.jsonl";
  conversations = TRY(gather_rows(flags.data, rows));
  if (!flags.validation.empty())
    conversations = TRY(gather_rows(flags.validation, held_out)) || conversations;
  JsonObject data;
  if (conversations) {
    data["train_rows"] = rows.string();
    if (!flags.validation.empty()) data["validation_rows"] = held_out.string();
    return data;
  }
  const auto tokenizer = TRY(load_tokenizer(flags.model));
  TRY(write_shard_of_rows(rows, *tokenizer, folder / "train"));
  data["train_shard"] = (folder / "train").string();
  if (flags.validation.empty()) return data;
  TRY(write_shard_of_rows(held_out, *tokenizer, folder / "validation"));
  data["validation_shard"] = (folder / "validation").string();
  return data;
}

Result<Path> write_job(const Flags& flags) {
  const Path out = std::filesystem::absolute(flags.out).lexically_normal(), file = out / "job.json";
  std::error_code error;
  if (std::filesystem::exists(file, error))
    return fail(ErrorCode::kAlreadyExists,
                "expected a new folder; to go on with this run: volant train --job {}", file.string())
        .at(out.string());
  (void)TRY(Checkpoint::open(flags.model));  // before anything is written
  bool conversations = false;
  const JsonObject data = TRY(write_data(flags, out / "data", conversations));
  JsonObject job{{"objective", conversations ? "sft" : "pretrain"},
                 {"model", JsonObject{{"init_from", std::filesystem::absolute(flags.model).string()}}},
                 {"data", data},
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
  if (flags.steps > 0) {
    job["steps"] = flags.steps;
  } else {
    job["epochs"] = flags.epochs;
  }
  TRY(write_file_atomic(file, dump_json_pretty(job)));
  return file;
}

Result<int> train(const Flags& flags) {
  if (flags.job.empty() && (flags.model.empty() || flags.data.empty() || flags.out.empty()))
    return fail(ErrorCode::kInvalidArgument, "expected --job FILE, or --model, --data and --out");
  const Path job = flags.job.empty() ? TRY(write_job(flags)) : Path(flags.job);

  std::signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the trainer too: we wait for its checkpoint
  Process child = TRY(start_trainer(job));
  const ProcessExit exit = TRY(child.wait());
  if (exit.status < 0)
    return fail(ErrorCode::kUnavailable,
                "volant-train was ended by signal {}; to go on: volant train --job {}", exit.signal,
                job.string());
  if (exit.status != 0) return exit.status;
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
  app->add_option("--job", flags->job,
                  "A job.json; its folder takes the results. Goes on where it was stopped");
  app->add_option("--model", flags->model, "Hugging Face folder to start from");
  app->add_option("--data", flags->data,
                  "Texts (.txt, .md) or JSON Lines with \"text\" or \"messages\" (.gz, .zst too)");
  app->add_option("--validation", flags->validation, "The same, held out: decides which weights are kept");
  app->add_option("--out", flags->out, "New folder for job, events, checkpoints and the finished model");
  app->add_option("--epochs", flags->epochs, "Passes over the data")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app->add_option("--steps", flags->steps, "Steps instead of passes")->check(CLI::PositiveNumber);
  app->add_option("--max-minutes", flags->max_minutes, "Ends the schedule by then; 0: no limit")
      ->capture_default_str();
  app->add_option("--lr", flags->lr, "Highest learning rate")->capture_default_str();
  app->add_option("--weight-decay", flags->weight_decay, "Of AdamW, on matrices")->capture_default_str();
  app->add_option("--tokens-per-step", flags->tokens_per_step, "Tokens of one step")->capture_default_str();
  app->add_option("--max-seq-len", flags->max_seq_len, "Longest piece of a text")->capture_default_str();
  app->add_option("--evaluate-every", flags->evaluate_every, "Steps between evaluations")
      ->capture_default_str();
  app->add_option("--patience", flags->patience, "Evaluations without progress before the end; 0: never")
      ->capture_default_str();
  app->add_option("--dtype", flags->dtype, "Arithmetic: auto, bf16, f32")->capture_default_str();
  app->add_option("--save-dtype", flags->save_dtype, "Of the finished model: f32, bf16, f16")
      ->capture_default_str();
  app->add_option("--seed", flags->seed, "Of order and start")->capture_default_str();
  app->add_option("--threads", flags->threads, "0: one for each core")->capture_default_str();
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Examples:\n"
      "  volant train --model models/stories15M --data poems.txt --out runs/poems --epochs 2\n"
      "  volant train --model models/chat --data answers.jsonl --out runs/answers --lr 5e-5\n"
      "  volant train --job runs/answers/job.json");
  app->callback([&action, flags] { action = [flags] { return train(*flags); }; });
}

}  // namespace volant::cli
