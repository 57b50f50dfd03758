// A recipe: one training job outside of a workspace as a person writes it, a TOML file of a few lines.
//
//   objective = "dpo"                        # default: what the rows are for
//   [model]
//   init_from = "models/chat"                # a Hugging Face folder or id; or fields of config.json, or
//                                            # size = "auto" with budget_seconds = 600
//   [data]
//   train = ["a.jsonl", {path = "b.json", weight = 2, epochs = 1, format = "sharegpt"}]
//   validation = ["c.jsonl"]                 # or validation_share = 0.1
//   test = ["d.jsonl"]                       # or test_share = 0.2: looked at when all is done
//                                            # or what the trainer makes or finds itself, with an objective:
//                                            # toy_arithmetic, sampled, train_shard, validation_shard,
//                                            # test_shard
//   [train]
//   epochs = 2                               # and every other key of a job
//   [preference]                             # other tables are the job's objects of that name
//   beta = 0.1
//
// Predictions of a task (tasks/task.h) name it and a folder with its encoder; their rows are those of the
// task:
//   objective = "predict"
//   task = "table"
//   encoder = "income/model"
//   [predict]
//   loss = "focal"
//
// Paths are relative to the recipe's folder. "${NAME}" and "${NAME:-otherwise}" are variables of the
// environment.
#pragma once
#include "base/json.h"
#include "io/file.h"

namespace volant {

// The recipe as JSON, paths absolute, variables put in. kParse names file and line of malformed TOML.
Result<JsonObject> load_recipe(const Path& file);
// Whether a trainer has begun the run in the folder `out`: it is gone on with by its job.json, not begun
// anew.
bool run_has_begun(const Path& out);
// Writes data and job.json into the folder `out` and gives the path of job.json, over a job that no trainer
// has begun; kAlreadyExists for a run that has begun, kConflict while a trainer prepares it. Unknown keys and
// words
// ("optimiser", "adamv") are refused by name before anything is written, numbers by the trainer.
Result<Path> write_recipe_job(const JsonObject& recipe, const Path& out);

}  // namespace volant
