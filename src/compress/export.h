// Export: a model in another format, never without its parity report. The exported model is run beside the
// original on the same ids; a full-precision export that differs is refused and leaves nothing behind.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "tensor/dtype.h"

namespace volant {

struct ParityReport {
  std::string format;           // "f32", "bf16", "f16", "q8_0"
  double greedy_agreement = 0;  // share of positions whose most likely next token is the same, 0 to 1
  double mean_kl = 0;           // of next-token distributions, original to exported, nats
  double max_logit_error = 0;
  int64_t positions = 0;
  bool passed = false;
  double max_mean_kl_allowed = 0;
  uint64_t bytes = 0;  // of the exported file
};
Json to_json(const ParityReport& report);

struct ExportOptions {
  DType to = DType::kQ8_0;
  Path out;  // a name that ends in `.gguf`, or a Hugging Face folder (f32, bf16, f16)
  std::vector<std::string>
      parity_texts;  // what both models read; built-in English and Chinese texts when empty
};

// Writes `options.out` aside, compares, renames. kRefused when the parity bound does not hold.
Result<ParityReport> export_model(const Path& model, const ExportOptions& options);

}  // namespace volant
