// The layers of a network with the shapes of the rows between them, and the names of their tensors: what the
// model text follows. Names are those of PyTorch's nn.Sequential under "layers".
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/network_fields.h"
#include "ops/picture.h"

namespace volant {

// "conv", as config.json has it.
const char* network_layer_name(NetworkLayer::Kind kind);
std::vector<std::string> network_layer_names();
std::optional<NetworkLayer::Kind> network_layer_kind(std::string_view name);

struct NetworkStep {
  NetworkLayer layer;                   // without the layers of a residual
  std::string name;                     // "layers.3", in a residual "layers.3.layers.0"
  PictureShape in, out;                 // of a row; plain rows of F numbers are [F, 1, 1]
  bool projects = false;                // a residual whose shapes differ
  ConvSpec projection;                  // then, between pictures; of plain rows `in` and `out` say it
  bool pictures = false;                // whether `out` is one
  bool one_row = false;                 // whether a sequence is one row from here on
  std::vector<NetworkStep> steps = {};  // of a residual

  ConvSpec conv() const { return {in, layer.channels, layer.kernel, layer.stride, layer.padding}; }
  PoolSpec pool() const;
};

struct NetworkPlan {
  bool reads_tokens = false;
  PictureShape in;  // of rows of numbers
  std::vector<NetworkStep> steps;
  int64_t n_hidden = 0;  // columns that the head reads
  // Numbers of one row that all layers give together: what a pass that trains keeps of it. Of networks that
  // read tokens, for each token.
  int64_t n_activations = 0;
  int64_t n_widest = 0;  // the most columns between two layers
};

// kParse names the layer and what does not fit. `vocab_size` counts where there is no input shape.
Result<NetworkPlan> plan_network(const NetworkFields& fields, int64_t vocab_size);

}  // namespace volant
