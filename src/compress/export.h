// Export: a model in another format, never without its parity report. The exported model is run beside the
// original on the same ids; a full-precision export that differs is refused and leaves nothing behind.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/format.h"
#include "io/file.h"

namespace volant {

struct ParityReport {
  std::string format;           // "f32", "q8_0", "q4_K_M"
  double greedy_agreement = 0;  // share of positions whose most likely next token is the same, 0 to 1
  double mean_kl = 0;           // of next-token distributions, original to exported, nats
  double max_logit_error = 0;
  int64_t positions = 0;
  bool passed = false;
  double max_mean_kl_allowed = 0;
  uint64_t bytes = 0;                           // of the exported file
  std::map<std::string, int64_t> tensors = {};  // GGUF: how many of each number type
  std::vector<std::string> notes = {};          // what is not as the format's name says, and why
};
Json to_json(const ParityReport& report);

struct ExportOptions {
  ExportFormat to = DType::kQ8_0;
  Path adapter = {};  // merged first: a folder in PEFT's layout
  Path out;           // a name that ends in `.gguf`, or a Hugging Face folder (f32, bf16, f16)
  std::vector<std::string>
      parity_texts;  // what both models read; built-in English and Chinese texts when empty
  // Texts that say which inputs matter (compress/calibrate.h); empty: all the same. For quantised formats.
  std::vector<std::string> calibration_texts = {};
};

// Writes `options.out` aside, compares, renames. kRefused when the parity bound does not hold.
Result<ParityReport> export_model(const Path& model, const ExportOptions& options);

}  // namespace volant
