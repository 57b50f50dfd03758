#include "text/tokenizer.h"

#include "text/gguf_vocabulary.h"
#include "text/pipeline_tokenizer.h"
#include "text/spm_tokenizer.h"
#include "text/spm_vocabulary.h"
#include "text/tokenizer_config.h"
#include "text/unicode.h"
#include "text/vocabulary_files.h"

namespace volant {
namespace {

bool is_there(const Path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// A tokenizer.json that was made from a SentencePiece model of the BPE kind.
bool is_spm_bpe(const Json& json) {
  const Json* model = json_find(json, "model");
  const Json* type = model == nullptr ? nullptr : json_find(*model, "type");
  const Json* fallback = model == nullptr ? nullptr : json_find(*model, "byte_fallback");
  return (type == nullptr || *type == "BPE") && fallback != nullptr && fallback->is_bool() &&
         fallback->get_bool();
}

Result<std::unique_ptr<Tokenizer>> load_json(const Path& file, const Path& spm_model,
                                             const TokenizerConfig& config) {
  const std::string text = TRY(read_file(file));
  Result<Json> json = parse_json(text);
  if (!json) return std::move(json).error().at(file.string());
  if (is_spm_bpe(*json)) {
    if (!spm_model.empty()) return load_spm_tokenizer(spm_model, &*json, config);
    // With scores, as SentencePiece has them, where the merges allow it: then GGUF can hold it.
    auto made = make_spm_tokenizer(*json, config);
    if (made || made.error().code != ErrorCode::kUnsupported) {
      if (!made) return std::move(made).error().at(file.string());
      return made;
    }
  }
  auto made = make_pipeline_tokenizer(*json, config);
  if (!made) return std::move(made).error().at(file.string());
  return made;
}

// tokenizer.model, or as T5 calls it; empty when there is none.
Path spm_model_in(const Path& folder) {
  for (const char* name : {"tokenizer.model", "spiece.model"})
    if (is_there(folder / name)) return folder / name;
  return {};
}

bool has_vocab_and_merges(const Path& folder) {
  return is_there(folder / "vocab.json") && is_there(folder / "merges.txt");
}

Result<std::unique_ptr<Tokenizer>> load_from(const Path& folder) {
  if (!std::filesystem::is_directory(folder))
    return fail(ErrorCode::kNotFound, "expected a folder with tokenizer.json or tokenizer.model");
  const TokenizerConfig config = TRY(load_tokenizer_config(folder));
  const Path spm_model = spm_model_in(folder);
  if (is_there(folder / "tokenizer.json")) return load_json(folder / "tokenizer.json", spm_model, config);
  if (!spm_model.empty()) return load_spm_tokenizer(spm_model, nullptr, config);
  if (is_there(folder / "vocab.txt")) return load_vocab_txt(folder / "vocab.txt", config);
  if (has_vocab_and_merges(folder)) return load_vocab_and_merges(folder, config);
  const std::vector<Path> ranks = TRY(glob((folder / "*.tiktoken").string()));
  if (ranks.size() == 1) return load_tiktoken(ranks[0], config);
  return fail(
      ErrorCode::kNotFound,
      "expected tokenizer.json, tokenizer.model, vocab.txt, vocab.json with merges.txt, or one .tiktoken "
      "file, found none");
}

bool has_tokenizer(const Path& folder) {
  return is_there(folder / "tokenizer.json") || !spm_model_in(folder).empty() ||
         is_there(folder / "vocab.txt") || has_vocab_and_merges(folder);
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
    if (has_tokenizer(path)) return load_tokenizer(path);
    const std::vector<Path> found = TRY(glob((path / "*.gguf").string()));
    if (found.size() != 1) return load_tokenizer(path);  // says what was expected
    file = found[0];
  }
  if (path.extension() == ".tiktoken") return load_tiktoken(path, {});
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
