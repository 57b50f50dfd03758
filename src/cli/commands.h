// The commands of `volant`, one file each (`run.cc` adds `volant run`). A command declares its flags, help
// and examples, calls a room, and prints; it holds no logic.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"

namespace volant::cli {

// What the chosen command does, set while the command line is parsed; gives the exit status.
using Action = std::function<Result<int>()>;

using AddCommand = void (*)(CLI::App& root, Action& action);

void add_init(CLI::App& root, Action& action);
void add_run(CLI::App& root, Action& action);
void add_status(CLI::App& root, Action& action);
void add_data(CLI::App& root, Action& action);
void add_tokenizer(CLI::App& root, Action& action);
void add_train(CLI::App& root, Action& action);
void add_eval(CLI::App& root, Action& action);
void add_compress(CLI::App& root, Action& action);
void add_serve(CLI::App& root, Action& action);
void add_chat(CLI::App& root, Action& action);
void add_embed(CLI::App& root, Action& action);
void add_predict(CLI::App& root, Action& action);
void add_feedback(CLI::App& root, Action& action);
void add_improve(CLI::App& root, Action& action);
void add_promote(CLI::App& root, Action& action);
void add_rollback(CLI::App& root, Action& action);
void add_trace(CLI::App& root, Action& action);
void add_runs(CLI::App& root, Action& action);
void add_models(CLI::App& root, Action& action);
void add_version(CLI::App& root, Action& action);
void add_completion(CLI::App& root, Action& action);

}  // namespace volant::cli
