// How much worse a model gets on a suite when its questions are perturbed, row by row against the plain
// suite.
#pragma once
#include "eval/report/compare.h"
#include "eval/robustness/perturb.h"
#include "eval/suites/run_suite.h"

namespace volant {

// The report of the plain suite with a section "robustness": for every perturbation the figures, their paired
// differences from the plain ones, and p-values corrected over all of them.
Result<EvalReport> run_robustness(Engine& engine, const Suite& suite,
                                  std::span<const Perturbation> perturbations,
                                  const SuiteOptions& options = {}, const PerturbOptions& perturb = {});

}  // namespace volant
