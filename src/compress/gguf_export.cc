#include "compress/gguf_export.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "compress/convert.h"

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
GgufField float_field(std::string key, double value) { return {std::move(key), Type::kF32, value}; }

std::vector<GgufField> model_fields(const LlamaConfig& c, const OutputType& type, const std::string& name) {
  std::vector<GgufField> fields{
      text_field("general.architecture", "llama"),
      text_field("general.type", "model"),
      text_field("general.name", name),
      uint_field("general.file_type", static_cast<int64_t>(type.file_type)),
      uint_field("llama.vocab_size", c.vocab_size),
      uint_field("llama.context_length", c.max_position_embeddings),
      uint_field("llama.embedding_length", c.hidden_size),
      uint_field("llama.block_count", c.num_hidden_layers),
      uint_field("llama.feed_forward_length", c.intermediate_size),
      uint_field("llama.attention.head_count", c.num_attention_heads),
      uint_field("llama.attention.head_count_kv", c.num_key_value_heads),
      uint_field("llama.attention.key_length", c.head_dim),
      uint_field("llama.attention.value_length", c.head_dim),
      float_field("llama.attention.layer_norm_rms_epsilon", c.rms_norm_eps),
      uint_field("llama.rope.dimension_count", c.head_dim),
      float_field("llama.rope.freq_base", c.rope_theta),
  };
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

// Hugging Face keeps the two halves of a head one after the other, llama.cpp interleaves them: row h/2 + i of
// a head goes after row i.
std::vector<std::byte> interleave_heads(const std::vector<std::byte>& rows, int64_t n_rows, int64_t n_head) {
  const size_t row_size = rows.size() / static_cast<size_t>(n_rows);
  const int64_t head_dim = n_rows / n_head, half = head_dim / 2;
  std::vector<std::byte> out(rows.size());
  for (int64_t row = 0; row < n_rows; ++row) {
    const int64_t head = row / head_dim, i = row % head_dim;
    const int64_t to = head * head_dim + (i % half) * 2 + i / half;
    std::memcpy(out.data() + static_cast<size_t>(to) * row_size,
                rows.data() + static_cast<size_t>(row) * row_size, row_size);
  }
  return out;
}

// What stretched RoPE divides each frequency by; empty when it does not.
std::vector<float> rope_factors(const LlamaConfig& c) {
  LlamaConfig plain = c;
  plain.rope_scaling.reset();
  plain.rope_freq_factors.clear();
  const std::vector<float> base = plain.rope_inv_freq(), used = c.rope_inv_freq();
  std::vector<float> factors(base.size());
  for (size_t i = 0; i < base.size(); ++i) factors[i] = base[i] / used[i];
  const bool scaled = c.rope_scaling.has_value() || !c.rope_freq_factors.empty();
  return scaled ? factors : std::vector<float>();
}

struct Tensors {
  std::vector<std::vector<std::byte>> bytes;  // moving a vector leaves its bytes where they are
  std::vector<GgufOutTensor> tensors;

  void add(std::string name, GgmlType type, std::vector<int64_t> shape, std::vector<std::byte> content) {
    bytes.push_back(std::move(content));
    tensors.push_back({std::move(name), type, std::move(shape), bytes.back()});
  }
};

Status add_tensor(const Checkpoint& model, const std::string& name, const OutputType& wanted, Tensors& out) {
  const TensorView view = TRY(model.tensor(name));
  std::string gguf_name = gguf_tensor_name(name);
  if (gguf_name.empty()) return fail(ErrorCode::kInternal, "tensor '{}' has no name in GGUF", name);
  OutputType type = view.shape.size() < 2 ? kTypes[0] : wanted;
  if (view.columns() % dtype_info(type.dtype).block != 0) type = kTypes[1];
  std::vector<std::byte> bytes = convert(view, type.dtype);
  const LlamaConfig& c = model.config();
  if (name.ends_with(".q_proj.weight")) bytes = interleave_heads(bytes, view.rows(), c.num_attention_heads);
  if (name.ends_with(".k_proj.weight")) bytes = interleave_heads(bytes, view.rows(), c.num_key_value_heads);
  out.add(std::move(gguf_name), type.ggml, view.shape, std::move(bytes));
  return {};
}

}  // namespace

Status write_gguf_model(const Checkpoint& model, DType to, const std::string& name, const Path& path) {
  const OutputType type = TRY(output_type(to));
  const LlamaConfig& config = model.config();
  const std::unique_ptr<Tokenizer> tokenizer = TRY(model.tokenizer());
  std::vector<GgufField> fields = model_fields(config, type, name);
  TRY(add_text_fields(model, *tokenizer, fields));
  Tensors out;
  if (const std::vector<float> factors = rope_factors(config); !factors.empty()) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(factors));
    out.add("rope_freqs.weight", GgmlType::kF32, {static_cast<int64_t>(factors.size())},
            {bytes.begin(), bytes.end()});
  }
  for (const std::string& tensor : model.tensor_names()) TRY(add_tensor(model, tensor, type, out));
  return write_gguf(path, fields, out.tensors);
}

}  // namespace volant
