// A model as GGUF, laid out as llama.cpp's convert_hf_to_gguf does it: the rows of q and k interleaved head
// by head, norms in f32, a tied head left out, the vocabulary and chat template inside.
#pragma once
#include "models/checkpoint.h"

namespace volant {
// Matrices become `to`; one whose rows are no multiple of the block becomes f16 instead.
Status write_gguf_model(const Checkpoint& model, DType to, const std::string& name, const Path& path);
}  // namespace volant
