// A model family: how its configuration is read and written, and how GGUF names and lays out its tensors. One
// entry of the table for each; the model text itself is in <family>.h.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/model_config.h"

namespace volant {

// How GGUF keeps one Hugging Face tensor.
struct GgufRule {
  enum class Layout {
    kSame,
    kInterleavedHeads,  // the two halves of each of `count` heads interleaved, row by row
    kPlusOne,           // the file's numbers are greater by one (Gemma's norms)
    kSlice,             // part `index` of `count` along the first axis of a larger tensor (experts)
  };
  std::string name;  // empty: GGUF has no such tensor
  Layout layout = Layout::kSame;
  int64_t count = 0, index = 0;
};

struct ModelFamily {
  const char* model_type;                  // "llama"
  const char* gguf_architecture;           // "llama"; empty: GGUF does not know it
  std::vector<const char*> architectures;  // that config.json may name: "LlamaForCausalLM"

  // Fills `own` and whatever differs from the common fields, which have been read.
  Status (*read_json)(const Json& json, ModelConfig& config);
  void (*write_json)(const ModelConfig& config, JsonObject& json);
  Status (*read_gguf)(const GgufFile& file, ModelConfig& config);
  // The fields besides those that every architecture has.
  std::vector<GgufField> (*gguf_fields)(const ModelConfig& config);
  GgufRule (*gguf_rule)(const ModelConfig& config, const std::string& name);

  // The usual name of a tensor that a file may name otherwise ("wte.weight" without its prefix); null: as it
  // is.
  std::string (*canonical_name)(const std::string& name) = nullptr;
  // Whether a tensor that is no part of the model may stand in a file (masks, buffers); null: none.
  bool (*may_be_left_over)(const std::string& name) = nullptr;
  // Where several families share a GGUF architecture: whether the file is of this one; null: if no other
  // claims it.
  bool (*is_gguf_of)(const GgufFile& file) = nullptr;
  // kUnsupported names what GGUF cannot hold of this model; null: it holds all.
  Status (*check_gguf)(const ModelConfig& config) = nullptr;
  // llama.cpp wants the head as a tensor of its own although it is tied.
  bool gguf_repeats_tied_head = false;
  // Positions beyond max_position_embeddings have no numbers.
  bool has_learned_positions = false;
  // What the configuration leaves open and the tensors of a folder tell; null: nothing.
  void (*look_at_tensors)(ModelConfig& config, const std::function<bool(const std::string&)>& has) = nullptr;
  // Whether the sizes of attention say something of it. Of others read_json has checked all sizes.
  bool is_transformer = true;
};

// Whether `architecture` is a decoder of this family with a head for labels in place of the next token
// ("LlamaForSequenceClassification" where the family has "LlamaForCausalLM").
bool has_label_head(const ModelFamily& family, std::string_view architecture);

// All of them.
std::span<const ModelFamily* const> model_families();

// One for each family, in <family>.cc.
extern const ModelFamily kBertFamily, kGemma2Family, kGemma3Family, kGpt2Family, kLlamaFamily, kMistralFamily,
    kMixtralFamily, kNetworkFamily, kPhi3Family, kQwen2Family, kQwen2MoeFamily, kQwen3MoeFamily, kQwen3Family,
    kT5Family;

// Limits and fields that every family shares, for <family>.cc.
Status check_range(const char* name, int64_t value, int64_t most);
// kUnsupported when `json` sets `name` to anything but `value` (or leaves it out).
Status expect_bool(const Json& json, const char* name, bool value);
Status expect_word(const Json& json, const char* name, const char* value);
Status expect_absent(const Json& json, const char* name);
Result<double> read_eps(const Json& json, const char* name, double otherwise);

// GGUF names of decoders that follow Llama's layout: "model.layers.3.mlp.up_proj.weight" to
// "blk.3.ffn_up.weight".
struct GgufName {
  std::string_view hugging_face, gguf;
};
// Finds `name` in the two tables; `layers_prefix` is "model.layers.".
std::string gguf_name_of(const std::string& name, std::span<const GgufName> top,
                         std::span<const GgufName> layer, std::string_view layers_prefix);

}  // namespace volant
