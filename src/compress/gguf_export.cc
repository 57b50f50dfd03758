#include "compress/gguf_export.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "compress/convert.h"
#include "models/tensor_layout.h"

namespace volant {
namespace {

using Type = GgufField::Type;

struct OutputType {
  DType dtype;
  GgmlType ggml;
  uint64_t file_type;  // llama.cpp's llama_ftype
};
constexpr OutputType kTypes[] = {
    {DType::kF32, GgmlType::kF32, 0},
    {DType::kF16, GgmlType::kF16, 1},
    {DType::kQ8_0, GgmlType::kQ8_0, 7},
    {DType::kBF16, GgmlType::kBF16, 32},
};
constexpr uint64_t kQuantizationVersion = 2;  // of ggml's block layouts

Result<OutputType> output_type(DType dtype) {
  for (const OutputType& type : kTypes) {
    if (type.dtype == dtype) return type;
  }
  return fail(ErrorCode::kInvalidArgument, "expected f32, f16, bf16 or q8_0, got {}", dtype_info(dtype).name);
}

GgufField text_field(std::string key, std::string value) {
  return {std::move(key), Type::kString, std::move(value)};
}
GgufField uint_field(std::string key, int64_t value) {
  return {std::move(key), Type::kU32, static_cast<uint64_t>(value)};
}

std::vector<GgufField> model_fields(const ModelConfig& c, const OutputType& type, const std::string& name) {
  const std::string architecture = c.family->gguf_architecture;
  const auto size = [&](const char* key, int64_t value) {
    return uint_field(architecture + "." + key, value);
  };
  std::vector<GgufField> fields{
      text_field("general.architecture", architecture),
      text_field("general.type", "model"),
      text_field("general.name", name),
      uint_field("general.file_type", static_cast<int64_t>(type.file_type)),
      size("vocab_size", c.vocab_size),
      size("context_length", c.max_position_embeddings),
      size("embedding_length", c.hidden_size),
      size("block_count", c.num_hidden_layers),
      size("feed_forward_length", c.intermediate_size),
      size("attention.head_count", c.num_attention_heads),
      size("attention.head_count_kv", c.num_key_value_heads),
      size("attention.key_length", c.head_dim),
      size("attention.value_length", c.head_dim),
  };
  for (GgufField& field : c.family->gguf_fields(c)) fields.push_back(std::move(field));
  if (type.dtype == DType::kQ8_0)
    fields.push_back(uint_field("general.quantization_version", kQuantizationVersion));
  return fields;
}

// The vocabulary, the template, and the id that ends a turn where it is not the one that ends a text.
Status add_text_fields(const Checkpoint& model, const Tokenizer& tokenizer, std::vector<GgufField>& fields) {
  std::set<std::string> keys;
  for (const GgufField& field : fields) keys.insert(field.key);
  for (GgufField& field : tokenizer.gguf_fields()) {
    if (keys.insert(field.key).second) fields.push_back(std::move(field));
  }
  if (model.has_chat_template())
    fields.push_back(text_field("tokenizer.chat_template", model.chat_template()));
  const std::vector<int32_t> stop_ids = model.stop_ids();
  // All of them for Volant; llama.cpp knows one besides eos.
  fields.push_back(
      {"volant.stop_token_ids", Type::kI32, std::vector<int64_t>(stop_ids.begin(), stop_ids.end()), true});
  for (const int32_t id : stop_ids) {
    if (tokenizer.eos_id() == id || keys.contains("tokenizer.ggml.eot_token_id")) continue;
    fields.push_back(uint_field("tokenizer.ggml.eot_token_id", id));
    break;
  }
  return {};
}

struct Tensors {
  std::vector<std::vector<std::byte>> bytes;  // moving a vector leaves its bytes where they are
  std::vector<GgufOutTensor> tensors;
  std::map<std::string, size_t> open_slices;

  void add(std::string name, GgmlType type, std::vector<int64_t> shape, std::vector<std::byte> content) {
    bytes.push_back(std::move(content));
    tensors.push_back({std::move(name), type, std::move(shape), bytes.back()});
  }

  // Slices of one tensor come in order, one after the other.
  void add_slice(const GgufRule& rule, GgmlType type, std::vector<int64_t> shape,
                 std::vector<std::byte> content) {
    if (rule.index == 0) {
      shape.insert(shape.begin(), rule.count);
      open_slices[rule.name] = bytes.size();
      add(rule.name, type, std::move(shape), std::move(content));
      return;
    }
    const size_t at = open_slices.at(rule.name);
    bytes[at].insert(bytes[at].end(), content.begin(), content.end());
    tensors[at].bytes = bytes[at];
  }
};

Status add_tensor(const Checkpoint& model, const TensorSpec& spec, const OutputType& wanted, Tensors& out) {
  TensorView view = TRY(model.tensor(spec.name));
  const GgufRule rule = model.config().family->gguf_rule(model.config(), spec.name);
  if (rule.name.empty()) return fail(ErrorCode::kInternal, "tensor '{}' has no name in GGUF", spec.name);
  OutputType type = view.shape.size() < 2 ? kTypes[0] : wanted;
  if (view.columns() % dtype_info(type.dtype).block != 0) type = kTypes[1];
  std::vector<std::byte> bytes = convert(view, type.dtype);
  bytes = TRY(to_gguf_layout(rule, TensorView{type.dtype, view.shape, bytes}));
  if (rule.layout == GgufRule::Layout::kSlice) {
    out.add_slice(rule, type.ggml, view.shape, std::move(bytes));
  } else {
    out.add(rule.name, type.ggml, view.shape, std::move(bytes));
  }
  return {};
}

// What stretched RoPE divides each frequency by; empty when it does not.
std::vector<float> rope_factors(const ModelConfig& c) {
  const auto* own = std::get_if<LlamaFields>(&c.own);
  return own == nullptr ? std::vector<float>() : own->rope.factors(c.head_dim);
}

}  // namespace

Status write_gguf_model(const Checkpoint& model, DType to, const std::string& name, const Path& path) {
  const OutputType type = TRY(output_type(to));
  const ModelConfig& config = model.config();
  if (*config.family->gguf_architecture == 0)
    return fail(ErrorCode::kUnsupported, "GGUF has no architecture for {}: export a Hugging Face folder",
                config.architecture);
  const std::unique_ptr<Tokenizer> tokenizer = TRY(model.tokenizer());
  std::vector<GgufField> fields = model_fields(config, type, name);
  TRY(add_text_fields(model, *tokenizer, fields));
  Tensors out;
  if (const std::vector<float> factors = rope_factors(config); !factors.empty()) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(factors));
    out.add("rope_freqs.weight", GgmlType::kF32, {static_cast<int64_t>(factors.size())},
            {bytes.begin(), bytes.end()});
  }
  for (const TensorSpec& spec : tensor_specs(config)) TRY(add_tensor(model, spec, type, out));
  return write_gguf(path, fields, out.tensors);
}

}  // namespace volant
