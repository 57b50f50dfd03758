// The words of a training job: the keys that it may have, and the choices of those that name something
// ("optimizer": "adamw"). Who writes jobs (wheel) asks here before anything is on disk, the trainer (train)
// when it reads one. Numbers and what the choices mean are the trainer's alone.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace volant {

// Keys at the top of job.json.
const std::vector<std::string>& job_keys();
// Keys of its object "predict".
const std::vector<std::string>& predict_keys();
// The choices of `key`, "optimizer" or, in an object, "adapter.kind". It is a programmer's error to ask for a
// key that has none.
const std::vector<std::string>& job_words(std::string_view key);
// kInvalidArgument names a key that no job has, or a word that is none of its choices; both with the nearest.
// What is missing is left out.
Status check_job_words(const Json& job);

}  // namespace volant
