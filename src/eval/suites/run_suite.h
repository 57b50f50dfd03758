// Tries a model on a suite: asks every row, reads the answers, scores them, with intervals. Generated code
// runs in the sandbox only.
#pragma once
#include <functional>

#include "eval/report/report.h"
#include "eval/suites/safety.h"
#include "eval/suites/sandbox.h"
#include "eval/suites/suite.h"
#include "eval/suites/toxicity.h"
#include "runtime/engine.h"

namespace volant {

struct SuiteOptions {
  int shots = -1;  // solved examples shown first; -1: 5 of multiple choice where the suite has some, else 0
  bool chat = false;   // ask through the model's chat template
  int max_tokens = 0;  // of an answer; 0: by kind
  int samples = 1;     // code: answers to each task, for pass@1 with less noise; above 1 sampled at 0.8
  int bootstrap_samples = 1000;
  uint64_t seed = 1;
  size_t examples = 20;  // rows shown in the report
  SandboxOptions sandbox = {};
  SafetyPhrases phrases = {};
  const ToxicityModel* toxicity = nullptr;  // safety: toxic is also what it says; null: phrases alone
  std::function<void(uint64_t done, uint64_t total)> on_progress = {};
};

// The figures: choice and number: accuracy; answer and reading: exact_match and f1; code: pass_at_1 and, of
// 10 samples or more, pass_at_10; text: bleu, chrf (of the whole, 0 to 100) and rouge_l; safety:
// those of safety_figures() and, where there are some, jailbreak_success_rate. Greedy but for code with
// several samples. Prompts longer than the context lose examples, then their beginning; the notes say how
// many. Errors: kInvalidArgument for options out of range, kCancelled, the sandbox's.
Result<EvalReport> run_suite(Engine& engine, const Suite& suite, const SuiteOptions& options = {});

// The chance that one of k samples passes when c of n did, without bias (Chen et al. 2021); k <= n.
double pass_at_k(int n, int c, int k);

}  // namespace volant
