#include "compress/gguf_export.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "compress/convert.h"
#include "models/tensor_layout.h"
#include "runtime/embedder.h"
#include "text/spm_model.h"

namespace volant {
namespace {

using Type = GgufField::Type;

constexpr uint64_t kQuantizationVersion = 2;  // of ggml's block layouts

GgmlType ggml_type(DType dtype) { return static_cast<GgmlType>(dtype_info(dtype).ggml); }

GgufField text_field(std::string key, std::string value) {
  return {std::move(key), Type::kString, std::move(value)};
}
GgufField uint_field(std::string key, int64_t value) {
  return {std::move(key), Type::kU32, static_cast<uint64_t>(value)};
}

std::vector<GgufField> model_fields(const ModelConfig& c, const ExportFormat& format,
                                    const std::string& name) {
  const std::string architecture = c.family->gguf_architecture;
  const auto size = [&](const char* key, int64_t value) {
    return uint_field(architecture + "." + key, value);
  };
  std::vector<GgufField> fields{
      text_field("general.architecture", architecture),
      text_field("general.type", "model"),
      text_field("general.name", name),
      uint_field("general.file_type", format.file_type()),
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
  if (format.quantised()) fields.push_back(uint_field("general.quantization_version", kQuantizationVersion));
  return fields;
}

// Some models have more rows than their tokenizer has tokens (Qwen2.5: 151,936 and 151,665); llama.cpp wants
// a token for each.
void name_unused_rows(std::vector<GgufField>& fields, int64_t n_rows) {
  const auto grow = [&]<class T>(GgufField& field, const auto& value) {
    auto& values = std::get<std::vector<T>>(field.value);
    while (std::cmp_less(values.size(), n_rows)) values.push_back(value(values.size()));
  };
  for (GgufField& field : fields) {
    if (field.key == "tokenizer.ggml.tokens")
      grow.operator()<std::string>(field, [](size_t id) { return fmt::format("[PAD{}]", id); });
    if (field.key == "tokenizer.ggml.token_type")
      grow.operator()<int64_t>(field, [](size_t) { return static_cast<int64_t>(PieceType::kUnused); });
    if (field.key == "tokenizer.ggml.scores") grow.operator()<double>(field, [](size_t) { return -1000.0; });
  }
}

// The vocabulary, the template, and the id that ends a turn where it is not the one that ends a text.
Status add_text_fields(const Checkpoint& model, const Tokenizer& tokenizer, std::vector<GgufField>& fields) {
  std::set<std::string> keys;
  for (const GgufField& field : fields) keys.insert(field.key);
  for (GgufField& field : tokenizer.gguf_fields()) {
    if (keys.insert(field.key).second) fields.push_back(std::move(field));
  }
  name_unused_rows(fields, model.config().vocab_size);
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

// Writes the tensors of a model one after the other.
struct Writer {
  const Checkpoint& model;
  const ExportFormat& format;
  const Importance& importance;
  bool has_head = false;  // apart from the embedding
  ThreadPool pool{};
  Tensors out{};
  std::map<std::pair<DType, DType>, int64_t> replaced{};  // wanted and taken
  WrittenTypes written{};

  // Under the name that the family gives it, or as the head that stands apart.
  Status add(const TensorSpec& spec, bool as_head = false);
  void note_replaced();
};

Status Writer::add(const TensorSpec& spec, bool as_head) {
  const TensorView view = TRY(model.tensor(spec.name));
  const ModelConfig& config = model.config();
  GgufRule rule = config.family->gguf_rule(config, spec.name);
  if (as_head) rule.name = "output.weight";
  if (rule.name.empty())
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold '{}' of a {}: export a Hugging Face folder",
                spec.name, config.architecture);
  const bool is_head =
      as_head || spec.role == TensorRole::kHead || (!has_head && rule.name == "token_embd.weight");
  const ExportFormat::Choice choice = format.choose(spec, rule.name, is_head, config.num_hidden_layers);
  const auto weight = importance.find(spec.name);
  std::vector<std::byte> bytes = convert(
      view, choice.dtype,
      weight == importance.end() ? std::span<const float>() : std::span<const float>(weight->second), &pool);
  bytes = TRY(to_gguf_layout(rule, TensorView{choice.dtype, view.shape, bytes}));
  if (rule.layout == GgufRule::Layout::kSlice) {
    out.add_slice(rule, ggml_type(choice.dtype), view.shape, std::move(bytes));
  } else {
    out.add(rule.name, ggml_type(choice.dtype), view.shape, std::move(bytes));
  }
  ++written.tensors[dtype_info(choice.dtype).name];
  if (choice.wanted != choice.dtype) ++replaced[{choice.wanted, choice.dtype}];
  return {};
}

void Writer::note_replaced() {
  for (const auto& [types, n] : replaced) {
    written.notes.push_back(fmt::format("{} matrices are {} instead of {}: {} does not divide their rows", n,
                                        dtype_info(types.second).name, dtype_info(types.first).name,
                                        dtype_info(types.first).block));
  }
}

// What stretched RoPE divides each frequency by; empty when it does not.
std::vector<float> rope_factors(const ModelConfig& c) {
  const RopeConfig* rope = c.rope();
  return rope == nullptr ? std::vector<float>() : rope->factors(c.head_dim);
}

// How llama.cpp shall make one vector of a text: as Volant does it with the same folder.
Result<GgufField> pooling_field(const Checkpoint& model) {
  const std::unique_ptr<Embedder> embedder = TRY(Embedder::open(model.path(), {.n_threads = 1}));
  const Pooling pooling = embedder->pooling();
  return uint_field(std::string(model.config().family->gguf_architecture) + ".pooling_type",
                    pooling == Pooling::kMean    ? 1
                    : pooling == Pooling::kFirst ? 2
                                                 : 3);
}

}  // namespace

Result<WrittenTypes> write_gguf_model(const Checkpoint& model, const ExportFormat& format,
                                      const Importance& importance, const std::string& name,
                                      const Path& path) {
  if (!dtype_info(format.base()).writable || format.base() == DType::kI32) {
    return fail(ErrorCode::kInvalidArgument, "no model is written in {}", format.name());
  }
  const ModelConfig& config = model.config();
  if (config.family->check_gguf != nullptr) TRY(config.family->check_gguf(config));
  const std::unique_ptr<Tokenizer> tokenizer = TRY(model.tokenizer());
  std::vector<GgufField> fields = model_fields(config, format, name);
  TRY(add_text_fields(model, *tokenizer, fields));
  const bool repeats_head = config.tie_word_embeddings && config.family->gguf_repeats_tied_head;
  if (repeats_head) fields.push_back({"volant.tie_word_embeddings", Type::kBool, true});
  if (config.output == ModelOutput::kHidden) fields.push_back(TRY(pooling_field(model)));
  Writer writer{model, format, importance};
  if (const std::vector<float> factors = rope_factors(config); !factors.empty()) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(factors));
    writer.out.add("rope_freqs.weight", GgmlType::kF32, {static_cast<int64_t>(factors.size())},
                   {bytes.begin(), bytes.end()});
  }
  const std::vector<TensorSpec> specs = tensor_specs(config);
  writer.has_head = std::any_of(specs.begin(), specs.end(),
                                [](const TensorSpec& spec) { return spec.role == TensorRole::kHead; });
  for (const TensorSpec& spec : specs) TRY(writer.add(spec));
  if (repeats_head) TRY(writer.add(specs.front(), true));
  writer.note_replaced();
  TRY(write_gguf(path, fields, writer.out.tensors));
  return std::move(writer.written);
}

}  // namespace volant
