// Asks an engine many things at once: prompts that fit the context, choices by likelihood, answers in
// parallel. Inner header of run_suite.cc.
#pragma once
#include <functional>

#include "eval/suites/suite.h"
#include "runtime/engine.h"

namespace volant {

struct Prompt {
  std::vector<int32_t> ids;
  bool cut = false;  // examples or the beginning had to go
};

// The prompt of a row with up to `shots` examples, leaving `reserve` places for the answer.
Result<Prompt> prompt_of(const Engine& engine, const Suite& suite, const SuiteRow& row, size_t shots,
                         bool chat, size_t reserve);

// The most likely of the letters behind the prompt. One pass where each letter is one token (as with every
// common vocabulary), else a pass a letter.
Result<int32_t> most_likely_choice(Engine& engine, const Prompt& prompt, size_t n_choices, bool chat);

// Answers to all requests, in order, as many at once as the engine takes. `on_done` runs after each, in the
// caller's thread. A stop asked for is kCancelled.
Result<std::vector<GenerateResult>> generate_all(Engine& engine, std::vector<GenerateRequest> requests,
                                                 const std::function<void(size_t done)>& on_done);

}  // namespace volant
