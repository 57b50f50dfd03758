// A model as a Hugging Face folder that transformers opens: config.json, model.safetensors, tokenizer files,
// generation_config.json, the chat template in tokenizer_config.json; of an encoder also how
// sentence-transformers pools.
#pragma once
#include "models/checkpoint.h"

namespace volant {
// Every tensor becomes `to` (f32, f16, bf16). The folder must not exist.
Status write_hf_model(const Checkpoint& model, DType to, const Path& folder);
// config.json and model.safetensors alone: of models without a tokenizer.
Status write_hf_weights(const Checkpoint& model, DType to, const Path& folder);
}  // namespace volant
