// Embedder: one loaded encoder that turns texts into vectors. The rows of several texts go through the model
// packed, without padding; the vector of a text is pooled from its rows, as the folder says
// (runtime/sentence_files.h). Thread safe, one pass at a time. No tasks or prompts: a text is embedded as it
// is.
#pragma once
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "runtime/sentence_files.h"

namespace volant {

struct EmbedderOptions {
  int n_threads = 0;   // 0: all cores
  int max_tokens = 0;  // of a text, special tokens included; what is longer is cut. 0: the model's own
};

struct Embedding {
  std::vector<float> vector;  // n_dims numbers
  int64_t n_tokens = 0;       // that the model read
  bool truncated = false;     // the text was longer
};

class Embedder {
 public:
  // `model`: a folder or a .gguf file of an encoder. kUnsupported for a language model or a classifier, and
  // for a module of sentence-transformers that is not done here.
  static Result<std::unique_ptr<Embedder>> open(const Path& model, const EmbedderOptions& options = {});

  // One for each text, in order. kInvalidArgument for ids out of range or none at all.
  Result<std::vector<Embedding>> embed(std::span<const std::string> texts);
  Result<std::vector<Embedding>> embed_ids(std::span<const std::vector<int32_t>> texts);
  // The ids of a text with the vocabulary's special tokens, not cut.
  Result<std::vector<int32_t>> encode(const std::string& text) const;

  int64_t n_dims() const { return model_->config().hidden_size; }
  int max_tokens() const { return max_tokens_; }
  Pooling pooling() const { return pooling_; }
  bool normalizes() const { return normalize_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  Embedder(Checkpoint checkpoint, std::unique_ptr<NativeModel> model, Result<std::unique_ptr<Tokenizer>> text)
      : checkpoint_(std::move(checkpoint)), model_(std::move(model)), tokenizer_(std::move(text)) {}
  Result<std::vector<int32_t>> cut(const std::vector<int32_t>& ids) const;
  void run(std::span<const std::vector<int32_t>> texts, std::span<Embedding> out);
  void pool(std::span<const float> rows, Embedding& to) const;

  Checkpoint checkpoint_;
  std::unique_ptr<NativeModel> model_;
  Result<std::unique_ptr<Tokenizer>> tokenizer_;  // an error only when a text has to be read
  Pooling pooling_ = Pooling::kMean;
  bool normalize_ = true;  // vectors of length 1
  int max_tokens_ = 0;
  std::mutex mutex_;
};

}  // namespace volant
