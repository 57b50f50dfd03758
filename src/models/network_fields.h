// What a network has besides the fields of every model: its layers, in order, as config.json lists them. The
// head, one dense layer to the outputs, comes after them by itself.
//   {"model_type": "network", "architectures": ["NetworkForPrediction"],
//    "problem_type": "single_label_classification" | "binary_classification" | "regression",
//    "input_shape": [1, 28, 28] or [108], or "vocab_size" and "max_position_embeddings" for token ids,
//    "layers": [{"type": "conv", "channels": 32, "kernel": 3}, {"type": "relu"}, {"type": "max_pool", "size":
//    2},
//               {"type": "dense", "units": 128}, {"type": "relu"}, {"type": "dropout", "p": 0.5}],
//    "id2label": {...}, or of a regression "target_mean" and "target_deviation"}
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace volant {

struct NetworkLayer {
  enum class Kind {
    kDense,        // units
    kConv,         // channels, kernel, stride, padding
    kMaxPool,      // size, stride
    kAveragePool,  // the same; size 0: over the whole picture
    kBatchNorm,    // over channels of pictures, columns of other rows
    kLayerNorm,
    kRelu,
    kGelu,
    kTanh,
    kFlatten,    // pictures are plain rows from here on; layers that need those do so by themselves
    kDropout,    // p
    kResidual,   // x + layers(x); where the shapes differ, x goes through a conv of kernel 1 or a dense layer
    kEmbedding,  // units: token ids to rows; the first layer, and the only one that reads ids
    kLstm,       // units; bidirectional: twice as many columns
    kGru,
    kMeanRows,  // the rows of a sequence to one
    kMaxRows,
    kLastRow,
  };
  Kind kind = Kind::kDense;
  // A stride of 0: 1 of a conv, the size of a pool.
  int64_t units = 0, channels = 0, kernel = 0, stride = 0, padding = 0, size = 0;
  double p = 0;
  bool bidirectional = false;
  std::vector<NetworkLayer> layers = {};  // of a residual
};

struct NetworkFields {
  std::string problem_type = "single_label_classification";
  std::vector<int64_t> input_shape = {};  // empty: token ids
  std::vector<NetworkLayer> layers = {};
  double target_mean = 0, target_deviation = 1;  // of a regression: target = mean + deviation * output
  double batch_norm_eps = 1e-5, batch_norm_momentum = 0.1, layer_norm_eps = 1e-5;

  bool reads_tokens() const { return input_shape.empty(); }
  bool is_binary() const { return problem_type == "binary_classification"; }
  // Numbers that the model gives for an input: one for each label, or a single one.
  int64_t n_outputs(size_t n_labels) const {
    return is_binary() || problem_type == "regression" ? 1 : static_cast<int64_t>(n_labels);
  }
};

}  // namespace volant
