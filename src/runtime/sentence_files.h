// What sentence-transformers writes beside an encoder to say how a text becomes one vector: modules.json,
// 1_Pooling/config.json and sentence_bert_config.json. Read for serving, written after training.
#pragma once
#include <optional>

#include "io/file.h"

namespace volant {

// A text's vector from the hidden states of its rows: their mean, the first, or the last.
enum class Pooling { kMean, kFirst, kLast };

struct SentenceSettings {
  Pooling pooling = Pooling::kMean;
  bool normalize = true;                  // vectors of length 1
  std::optional<int64_t> max_seq_length;  // tokens of a text, special ones included
};

// The settings of a folder; the defaults for one that says nothing. kUnsupported names a module or a way of
// pooling that is not done here. `n_dims`: the model's hidden_size.
Result<SentenceSettings> read_sentence_settings(const Path& folder, int64_t n_dims);
// Whether the folder says how it pools.
bool has_sentence_settings(const Path& folder);
// Writes the three files into a model folder.
Status write_sentence_settings(const Path& folder, const SentenceSettings& settings, int64_t n_dims);

}  // namespace volant
