// Writing with and without speculative decoding, in turns.
#pragma once
#include <optional>

#include "base/json.h"
#include "base/result.h"
#include "io/file.h"

namespace volant {

struct GuessBench {
  Path model, text;  // a file that repeats itself or is asked for again: code, a quoted document
  std::optional<Path> draft = {};  // also with this model
  int n_threads = 0, prompt = 256, generate = 128, repeat = 5;
};

// The text's first `prompt` tokens, and then its begin once more: what a model quotes goes on from there.
// Tokens per second of the greedy answer with each way to guess, medians, and how many guesses were right.
// kInternal when a way changes the answer.
Result<JsonArray> measure_guesses(const GuessBench& bench);

}  // namespace volant
