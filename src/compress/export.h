// Export: a model in another format, never without its parity report. The exported model is run beside the
// original on the same ids; a full-precision export that differs is refused and leaves nothing behind.
#pragma once
#include <string>
#include <vector>

#include "compress/format.h"
#include "io/file.h"
#include "runtime/parity.h"

namespace volant {

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
