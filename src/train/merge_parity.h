// The proof that a merged model is the one that was trained: the run's model, its adapters beside the frozen
// base, against the finished folder as a server opens it anew. The same texts give the same ids, the same
// outputs and the same greedy tokens, the same conversations the same prompts.
#pragma once
#include "models/instances/torch.h"
#include "runtime/parity.h"
#include "text/tokenizer.h"
#include "train/job.h"

namespace volant {

// Reads built-in texts with both, in f32 whatever the run computed in (so it is changed to f32), and goes on
// with two of them greedily. Saved in f32, outputs must agree within 1e-3 of the largest one (or of 1), and
// next-token distributions within 1e-5 nats; saved in fewer bits, within 0.05 and 0.01 nats. `passed` says
// whether they do. kRefused where ids or prompts differ or an output is no number.
Result<ParityReport> merged_parity(const TrainJob& job, TorchModel& trained, const Tokenizer& tokenizer,
                                   const Path& merged);
// kRefused, with the numbers, for a report that did not pass.
Status check_merged(const ParityReport& report);

}  // namespace volant
