// What a BERT has besides the fields of every model.
#pragma once
#include <cstdint>

namespace volant {

struct BertFields {
  double layer_norm_eps = 1e-12;
  int64_t type_vocab_size = 2;
  bool tanh_gelu = false;  // the tanh formula instead of the exact one
  // Whether there is a pooler: config.json does not say, the tensors do. Classifiers of sequences need one.
  bool pooler = false;
  // How a GGUF file pools the rows of a text, by its number: 1 mean, 2 first, 3 last, 4 a score; 0: not said.
  int64_t gguf_pooling = 0;
};

}  // namespace volant
