#include "compress/hf_export.h"

#include "compress/convert.h"
#include "io/safetensors.h"
#include "models/tensor_layout.h"
#include "runtime/embedder.h"

namespace volant {
namespace {

struct OutputType {
  const char* safetensors;
  const char* torch;
};
Result<OutputType> output_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return OutputType{"F32", "float32"};
    case DType::kF16:
      return OutputType{"F16", "float16"};
    case DType::kBF16:
      return OutputType{"BF16", "bfloat16"};
    default:
      return fail(
          ErrorCode::kInvalidArgument,
          "a Hugging Face folder holds f32, f16 or bf16, not {}; for {} name a file that ends in .gguf",
          dtype_info(dtype).name, dtype_info(dtype).name);
  }
}

Status write_weights(const Checkpoint& model, DType to, const char* word, const Path& path) {
  std::map<std::string, SafetensorsEntry> entries;
  std::vector<std::vector<std::byte>> bytes;  // moving a vector leaves its bytes where they are
  for (const TensorSpec& spec : tensor_specs(model.config())) {
    TensorView view = TRY(model.tensor(spec.name));
    bytes.push_back(convert(view, to));
    if (spec.transposed) {
      bytes.back() = transposed({to, view.shape, bytes.back()});
      std::swap(view.shape[0], view.shape[1]);
    }
    entries.emplace(spec.name, SafetensorsEntry{word, view.shape, bytes.back()});
  }
  return write_safetensors(path, entries, {{"format", "pt"}});
}

Json ids_json(const std::vector<int32_t>& ids) {
  if (ids.size() == 1) return ids[0];
  return JsonArray(ids.begin(), ids.end());
}

Status write_generation_config(const Checkpoint& model, const Tokenizer& tokenizer, const Path& path) {
  JsonObject json;
  if (const auto bos = tokenizer.bos_id()) json["bos_token_id"] = *bos;
  const std::vector<int32_t> stop_ids = model.stop_ids();
  if (!stop_ids.empty()) json["eos_token_id"] = ids_json(stop_ids);
  return write_file_atomic(path, dump_json_pretty(std::move(json)));
}

Status add_chat_template(const Path& path, const std::string& source) {
  std::error_code ignored;
  JsonObject json;
  if (std::filesystem::exists(path, ignored)) {
    Result<Json> parsed = parse_json(TRY(read_file(path)));
    if (!parsed || !parsed->is_object())
      return fail(ErrorCode::kParse, "expected a JSON object").at(path.string());
    json = std::move(parsed->get_object());
  }
  json["chat_template"] = source;
  return write_file_atomic(path, dump_json_pretty(std::move(json)));
}

// How sentence-transformers shall make one vector of a text: as Volant does it with the same model.
Status write_pooling(const Checkpoint& model, const Path& folder) {
  const std::unique_ptr<Embedder> embedder = TRY(Embedder::open(model.path(), {.n_threads = 1}));
  return write_sentence_settings(folder,
                                 {.pooling = embedder->pooling(),
                                  .normalize = embedder->normalizes(),
                                  .max_seq_length = embedder->max_tokens()},
                                 embedder->n_dims());
}

}  // namespace

Status write_hf_weights(const Checkpoint& model, DType to, const Path& folder) {
  const OutputType type = TRY(output_type(to));
  const RopeConfig* rope = model.config().rope();
  if (rope != nullptr && !rope->freq_factors.empty()) {
    return fail(ErrorCode::kUnsupported,
                "its stretched RoPE is known only as a table, which config.json cannot hold");
  }
  TRY(make_dirs(folder));
  Json config = model.config().to_json();
  config.as_object()["torch_dtype"] = type.torch;
  TRY(write_file_atomic(folder / "config.json", dump_json_pretty(config)));
  return write_weights(model, to, type.safetensors, folder / "model.safetensors");
}

Status write_hf_model(const Checkpoint& model, DType to, const Path& folder) {
  TRY(write_hf_weights(model, to, folder));
  const std::unique_ptr<Tokenizer> tokenizer = TRY(model.tokenizer());
  TRY(tokenizer->save(folder));
  if (model.has_chat_template())
    TRY(add_chat_template(folder / "tokenizer_config.json", model.chat_template()));
  TRY(write_generation_config(model, *tokenizer, folder / "generation_config.json"));
  if (model.config().output == ModelOutput::kHidden) TRY(write_pooling(model, folder));
  return {};
}

}  // namespace volant
