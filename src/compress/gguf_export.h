// A model as GGUF, laid out as llama.cpp's convert_hf_to_gguf does it: the rows of q and k interleaved head
// by head, norms in f32, a tied head left out, the vocabulary and chat template inside.
#pragma once
#include "compress/calibrate.h"
#include "compress/format.h"
#include "models/checkpoint.h"

namespace volant {

// What was written.
struct WrittenTypes {
  std::map<std::string, int64_t> tensors;  // by type
  std::vector<std::string> notes;          // rows that the wanted blocks do not divide
};

// Matrices become what `format` chooses for them, with `importance` (may be empty) in the quantiser's error.
Result<WrittenTypes> write_gguf_model(const Checkpoint& model, const ExportFormat& format,
                                      const Importance& importance, const std::string& name,
                                      const Path& path);

}  // namespace volant
