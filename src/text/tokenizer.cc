#include "text/tokenizer.h"

#include "text/byte_bpe_tokenizer.h"
#include "text/gguf_vocabulary.h"
#include "text/spm_tokenizer.h"
#include "text/spm_vocabulary.h"
#include "text/tokenizer_config.h"
#include "text/unicode.h"

namespace volant {
namespace {

// The model of a tokenizer.json: byte-level BPE, or one that SentencePiece made.
enum class JsonKind { kByteLevel, kSentencePieceBpe, kOther };

JsonKind kind_of(const Json& json, std::string& type) {
  const Json* model = json_find(json, "model");
  if (model == nullptr) return JsonKind::kOther;
  type = json_string_or(*model, "type", "BPE").value_or("");  // old files leave it out
  if (type != "BPE") return JsonKind::kOther;
  const Json* fallback = json_find(*model, "byte_fallback");
  if (fallback != nullptr && fallback->is_bool() && fallback->get_bool()) return JsonKind::kSentencePieceBpe;
  return JsonKind::kByteLevel;
}

Result<std::unique_ptr<Tokenizer>> load_from(const Path& folder) {
  const Path json_path = folder / "tokenizer.json", model_path = folder / "tokenizer.model";
  const bool has_model = std::filesystem::exists(model_path);
  if (!std::filesystem::is_directory(folder))
    return fail(ErrorCode::kNotFound, "expected a folder with tokenizer.json or tokenizer.model");
  const TokenizerConfig config = TRY(load_tokenizer_config(folder));
  if (!std::filesystem::exists(json_path)) {
    if (!has_model)
      return fail(ErrorCode::kNotFound, "expected tokenizer.json or tokenizer.model, found neither");
    return load_spm_tokenizer(model_path, nullptr, config);
  }
  const std::string text = TRY(read_file(json_path));
  Result<Json> json = parse_json(text);
  if (!json) return std::move(json).error().at(json_path.string());
  std::string type;
  const JsonKind kind = kind_of(*json, type);
  if (has_model && kind != JsonKind::kByteLevel) return load_spm_tokenizer(model_path, &*json, config);
  auto made =
      kind == JsonKind::kByteLevel ? make_byte_bpe_tokenizer(*json, config)
      : kind == JsonKind::kSentencePieceBpe
          ? make_spm_tokenizer(*json, config)
          : Result<std::unique_ptr<Tokenizer>>(fail(ErrorCode::kUnsupported,
                                                    "tokenizer model '{}'; known are byte-level BPE and "
                                                    "SentencePiece (with its tokenizer.model)",
                                                    type));
  if (!made) return std::move(made).error().at(json_path.string());
  return made;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const Path& folder) {
  try {
    auto made = load_from(folder);
    if (!made && made.error().where.empty()) return std::move(made).error().at(folder.string());
    return made;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kParse, "cannot read the tokenizer: {}", error.what()).at(folder.string());
  }
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const GgufFile& file) {
  try {
    return make_gguf_tokenizer(file);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kParse, "cannot read the vocabulary: {}", error.what());
  }
}

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const Path& path) {
  std::error_code ignored;
  Path file = path;
  if (std::filesystem::is_directory(path, ignored)) {
    if (std::filesystem::exists(path / "tokenizer.json", ignored) ||
        std::filesystem::exists(path / "tokenizer.model", ignored))
      return load_tokenizer(path);
    const std::vector<Path> found = TRY(glob((path / "*.gguf").string()));
    if (found.size() != 1) return load_tokenizer(path);  // says what was expected
    file = found[0];
  }
  const GgufFile gguf = TRY(GgufFile::open(file));
  auto made = load_tokenizer(gguf);
  if (!made) return std::move(made).error().at(file.string());
  return made;
}

std::string StreamDecoder::push(int32_t id) {
  std::string bytes = tokenizer_.token_bytes(id);
  if (bytes.empty()) return {};
  if (first_ && bytes[0] == ' ') bytes.erase(0, 1);
  first_ = false;
  pending_ += bytes;
  const size_t tail = incomplete_utf8_tail(pending_);
  std::string out = to_valid_utf8(std::string_view(pending_).substr(0, pending_.size() - tail));
  pending_.erase(0, pending_.size() - tail);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out = to_valid_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace volant
