// What defines a model: the fields of Hugging Face's config.json, the same from GGUF metadata. What every
// family has stands here under Hugging Face's names; what one family alone has is in its own struct.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "io/gguf.h"
#include "models/bert_fields.h"
#include "models/gemma_fields.h"
#include "models/gpt2_fields.h"
#include "models/llama_fields.h"
#include "models/mistral_fields.h"
#include "models/mixtral_fields.h"
#include "models/network_fields.h"
#include "models/phi3_fields.h"
#include "models/qwen2_fields.h"
#include "models/qwen3_fields.h"
#include "models/qwen_moe_fields.h"
#include "models/t5_fields.h"
#include "models/tensor_spec.h"

namespace volant {

struct ModelFamily;
extern const ModelFamily kLlamaFamily;

// What a model gives for the rows that are read out.
enum class ModelOutput {
  kNextToken,  // logits [R, n_vocab]
  kHidden,     // hidden states [R, D]: an encoder for embeddings
  kLabels,     // one score per label [R, n_label]: of sequences (their first or last row) or of tokens
};

// Which rows of a sequence it gives that for.
enum class RowsRead { kAny, kFirst, kLast };

struct ModelConfig {
  const ModelFamily* family = &kLlamaFamily;  // never null
  std::string architecture = "LlamaForCausalLM";
  ModelOutput output = ModelOutput::kNextToken;
  std::vector<std::string> labels;  // names, by id; of kLabels

  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  int64_t num_hidden_layers = 0, num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  int64_t max_position_embeddings = 2048;
  double initializer_range = 0.02;
  bool tie_word_embeddings = false;
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;

  std::variant<LlamaFields, BertFields, Gemma2Fields, Gemma3Fields, Gpt2Fields, MistralFields, MixtralFields,
               Phi3Fields, Qwen2Fields, Qwen3Fields, Qwen2MoeFields, Qwen3MoeFields, T5Fields,
               NetworkFields>
      own;  // of the family

  // kUnsupported names an architecture or option that is not done here; it is never ignored.
  static Result<ModelConfig> from_json(const Json& config);
  static Result<ModelConfig> from_gguf(const GgufFile& file);
  // Its rotary positions, those of layers that see all positions; null where it has none.
  const RopeConfig* rope() const;
  // config.json of a Hugging Face folder.
  Json to_json() const;
  // Labels of a whole sequence stand at its first row (BERT) or its last one (decoders). Networks give the
  // same for every row of a sequence.
  RowsRead rows_read() const;
  // Whether it goes on with a text: no encoder, no scores, no source.
  bool is_decoder() const;
  // Whether it writes from a source that an encoder of its own reads (T5), and the id that its text starts
  // with.
  bool has_source() const { return std::holds_alternative<T5Fields>(own); }
  int32_t start_token_id() const;
  // Layers of keys and values that a cache holds for one sequence.
  int64_t n_cache_layers() const;
  // Numbers of kLabels for one input: one for each label, except in networks that give a single one.
  int64_t n_outputs() const;
  // Without statistics, as PyTorch counts.
  int64_t n_parameters() const;
  // Floating point operations of a forward pass over one row, without attention to other rows; `read_out`:
  // whether the row goes through the head.
  double row_flops(bool read_out) const;
};

// Every tensor of the model, in the order of the model text.
std::vector<TensorSpec> tensor_specs(const ModelConfig& config);

}  // namespace volant
