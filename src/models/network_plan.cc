#include "models/network_plan.h"

#include <algorithm>
#include <array>
#include <utility>

namespace volant {
namespace {

using Kind = NetworkLayer::Kind;

// Limits that keep every product of two sizes far from overflow.
constexpr int64_t kMaxSide = 1 << 14, kMaxColumns = 1 << 24, kMaxWeights = int64_t{1} << 32;
constexpr int64_t kMaxLayers = 1024;

constexpr std::array<std::pair<Kind, const char*>, 18> kNames = {{{Kind::kDense, "dense"},
                                                                  {Kind::kConv, "conv"},
                                                                  {Kind::kMaxPool, "max_pool"},
                                                                  {Kind::kAveragePool, "average_pool"},
                                                                  {Kind::kBatchNorm, "batch_norm"},
                                                                  {Kind::kLayerNorm, "layer_norm"},
                                                                  {Kind::kRelu, "relu"},
                                                                  {Kind::kGelu, "gelu"},
                                                                  {Kind::kTanh, "tanh"},
                                                                  {Kind::kFlatten, "flatten"},
                                                                  {Kind::kDropout, "dropout"},
                                                                  {Kind::kResidual, "residual"},
                                                                  {Kind::kEmbedding, "embedding"},
                                                                  {Kind::kLstm, "lstm"},
                                                                  {Kind::kGru, "gru"},
                                                                  {Kind::kMeanRows, "mean_rows"},
                                                                  {Kind::kMaxRows, "max_rows"},
                                                                  {Kind::kLastRow, "last_row"}}};

// The rows between two layers.
struct Rows {
  enum class Of { kIds, kTokens, kInputs };  // ids still; one for each token; one for each input
  Of of = Of::kInputs;
  PictureShape shape;
  bool pictures = false;

  std::string describe() const {
    if (of == Of::kIds) return "token ids";
    if (pictures) return fmt::format("pictures of {} x {} x {}", shape.channels, shape.height, shape.width);
    return fmt::format("rows of {} numbers", shape.columns());
  }
  void become_plain(int64_t columns) {
    shape = {columns, 1, 1};
    pictures = false;
  }
};

class Planner {
 public:
  Planner(NetworkPlan& plan, int64_t vocab_size) : plan_(plan), vocab_size_(vocab_size) {}

  Result<std::vector<NetworkStep>> plan(const std::vector<NetworkLayer>& layers, const std::string& prefix,
                                        Rows& rows) {
    std::vector<NetworkStep> steps;
    for (size_t i = 0; i < layers.size(); ++i) {
      NetworkStep step{.layer = layers[i],
                       .name = prefix + std::to_string(i),
                       .in = rows.shape,
                       .out = {},
                       .projection = {}};
      step.layer.layers.clear();
      Status done = follow(layers[i], step, rows);
      if (!done) {
        if (!done.error().where.empty()) return std::move(done).error();  // the layer of a residual is named
        return std::move(done).error().at(
            fmt::format("{} ({})", step.name, network_layer_name(layers[i].kind)));
      }
      step.out = rows.shape;
      step.pictures = rows.pictures;
      step.one_row = rows.of == Rows::Of::kInputs;
      plan_.n_activations += step.out.columns();
      plan_.n_widest = std::max(plan_.n_widest, step.out.columns());
      steps.push_back(std::move(step));
    }
    return steps;
  }

 private:
  Status follow(const NetworkLayer& layer, NetworkStep& step, Rows& rows) {
    if (++n_layers_ > kMaxLayers) return fail(ErrorCode::kLimit, "expected at most {} layers", kMaxLayers);
    if ((rows.of == Rows::Of::kIds) != (layer.kind == Kind::kEmbedding))
      return rows.of == Rows::Of::kIds
                 ? fail(ErrorCode::kParse, "token ids become rows by an embedding: let it be the first layer")
                 : fail(ErrorCode::kParse,
                        "expected token ids, got {}: let it be the first layer of a network "
                        "with 'vocab_size' and no 'input_shape'",
                        rows.describe());
    switch (layer.kind) {
      case Kind::kDense:
        TRY(in_range("units", layer.units, kMaxColumns));
        TRY(check_weights(layer.units, rows.shape.columns()));
        rows.become_plain(layer.units);
        return {};
      case Kind::kConv:
        return conv(step, rows);
      case Kind::kMaxPool:
      case Kind::kAveragePool:
        return pool(step, rows);
      case Kind::kLayerNorm:
        if (rows.pictures)
          return fail(ErrorCode::kParse, "expected plain rows, got {}: put a 'flatten' before it",
                      rows.describe());
        return {};
      case Kind::kFlatten:
        rows.become_plain(rows.shape.columns());
        return {};
      case Kind::kDropout:
        if (!(layer.p >= 0 && layer.p < 1))
          return fail(ErrorCode::kParse, "'p' is {}, expected 0 or more and less than 1", layer.p);
        return {};
      case Kind::kResidual:
        return residual(layer, step, rows);
      case Kind::kEmbedding:
        TRY(in_range("units", layer.units, kMaxColumns));
        TRY(check_weights(vocab_size_, layer.units));
        rows.of = Rows::Of::kTokens;
        rows.become_plain(layer.units);
        return {};
      case Kind::kLstm:
      case Kind::kGru:
        TRY(needs_tokens(rows));
        TRY(in_range("units", layer.units, kMaxColumns / 8));
        TRY(check_weights(4 * layer.units, std::max(layer.units, rows.shape.columns())));
        rows.become_plain(layer.units * (layer.bidirectional ? 2 : 1));
        return {};
      case Kind::kMeanRows:
      case Kind::kMaxRows:
      case Kind::kLastRow:
        TRY(needs_tokens(rows));
        rows.of = Rows::Of::kInputs;
        return {};
      case Kind::kBatchNorm:
      case Kind::kRelu:
      case Kind::kGelu:
      case Kind::kTanh:
        return {};
    }
    return {};
  }

  static Status in_range(const char* name, int64_t value, int64_t most) {
    if (value >= 1 && value <= most) return {};
    return fail(ErrorCode::kParse, "'{}' is {}, expected 1 to {}", name, value, most);
  }
  static Status check_weights(int64_t n_out, int64_t n_in) {
    if (n_out <= kMaxWeights / n_in) return {};
    return fail(ErrorCode::kLimit, "a weight of {} x {} numbers is too large, expected at most {} numbers",
                n_out, n_in, kMaxWeights);
  }
  static Status needs_tokens(const Rows& rows) {
    if (rows.of == Rows::Of::kTokens) return {};
    return fail(ErrorCode::kParse,
                "expected a row for each token of a sequence, got {} that are one for each", rows.describe());
  }
  static Status needs_pictures(const Rows& rows) {
    if (rows.pictures) return {};
    return fail(ErrorCode::kParse, "expected pictures [channels, height, width], got {}", rows.describe());
  }

  static Status conv(NetworkStep& step, Rows& rows) {
    NetworkLayer& layer = step.layer;
    TRY(needs_pictures(rows));
    if (layer.stride == 0) layer.stride = 1;
    TRY(in_range("channels", layer.channels, kMaxColumns));
    TRY(in_range("kernel", layer.kernel, kMaxSide));
    TRY(in_range("stride", layer.stride, kMaxSide));
    if (layer.padding < 0 || layer.padding >= layer.kernel)
      return fail(ErrorCode::kParse, "'padding' is {}, expected 0 or more and less than the kernel, {}",
                  layer.padding, layer.kernel);
    const ConvSpec spec = step.conv();
    if (spec.out().height < 1 || spec.out().width < 1)
      return fail(ErrorCode::kParse, "a kernel of {} with a padding of {} does not fit into {}", layer.kernel,
                  layer.padding, rows.describe());
    // Sides and channels are at most 2^14 and 2^24 here: no overflow.
    TRY(check_weights(layer.channels, spec.n_in()));
    if (spec.out().height * spec.out().width > kMaxColumns / layer.channels)
      return fail(ErrorCode::kLimit, "its result of {} x {} x {} numbers is too large, expected at most {}",
                  layer.channels, spec.out().height, spec.out().width, kMaxColumns);
    rows.shape = spec.out();
    return {};
  }

  static Status pool(NetworkStep& step, Rows& rows) {
    TRY(needs_pictures(rows));
    NetworkLayer& layer = step.layer;
    if (layer.size == 0 && layer.kind == Kind::kAveragePool) {  // over the whole picture
      if (layer.stride != 0)
        return fail(ErrorCode::kParse, "'stride' is {}, expected none without a 'size'", layer.stride);
      rows.shape = {rows.shape.channels, 1, 1};
      return {};
    }
    TRY(in_range("size", layer.size, kMaxSide));
    if (layer.stride == 0) layer.stride = layer.size;
    TRY(in_range("stride", layer.stride, kMaxSide));
    const PictureShape out = step.pool().out();
    if (out.height < 1 || out.width < 1)
      return fail(ErrorCode::kParse, "windows of {} x {} do not fit into {}", layer.size, layer.size,
                  rows.describe());
    rows.shape = out;
    return {};
  }

  Status residual(const NetworkLayer& layer, NetworkStep& step, Rows& rows) {
    if (layer.layers.empty()) return fail(ErrorCode::kParse, "'layers' has none");
    const Rows before = rows;
    step.steps = TRY(plan(layer.layers, step.name + ".layers.", rows));
    if (rows.of != before.of)
      return fail(ErrorCode::kParse,
                  "its layers make one row of a sequence, to which its rows cannot be added");
    step.projects = !(rows.shape == before.shape);
    if (!step.projects) return {};
    if (!rows.pictures) return check_weights(rows.shape.columns(), before.shape.columns());
    const std::optional<int64_t> stride = stride_between(before.shape, rows.shape);
    if (!stride)
      return fail(
          ErrorCode::kParse,
          "its layers make {} of {}, and no conv of kernel 1 does so: choose strides and paddings that "
          "give the same heights and widths, or both divided by the same stride",
          rows.describe(), before.describe());
    step.projection = {before.shape, rows.shape.channels, 1, *stride, 0};
    return check_weights(rows.shape.channels, before.shape.channels);
  }

  // Of a conv of kernel 1 that makes `to`'s heights and widths of `from`'s.
  static std::optional<int64_t> stride_between(const PictureShape& from, const PictureShape& to) {
    for (int64_t stride = 1; stride <= std::max(from.height, from.width); ++stride)
      if (window_positions(from.height, 1, stride, 0) == to.height &&
          window_positions(from.width, 1, stride, 0) == to.width)
        return stride;
    return std::nullopt;
  }

  NetworkPlan& plan_;
  int64_t vocab_size_, n_layers_ = 0;
};

Result<Rows> input_rows(const NetworkFields& fields, int64_t vocab_size) {
  const std::vector<int64_t>& shape = fields.input_shape;
  if (shape.empty()) {
    if (vocab_size < 1)
      return fail(ErrorCode::kParse,
                  "expected 'input_shape' ([channels, height, width] or [numbers]) or 'vocab_size'");
    return Rows{Rows::Of::kIds, {}, false};
  }
  if (vocab_size != 0) return fail(ErrorCode::kParse, "'vocab_size' and 'input_shape': expected one of them");
  if (shape.size() != 1 && shape.size() != 3)
    return fail(ErrorCode::kParse,
                "'input_shape' has {} sizes, expected [channels, height, width] or [numbers]", shape.size());
  for (const int64_t size : shape)
    if (size < 1 || size > (shape.size() == 1 ? kMaxColumns : kMaxSide))
      return fail(ErrorCode::kParse, "'input_shape' has a size of {}, expected 1 to {}", size,
                  shape.size() == 1 ? kMaxColumns : kMaxSide);
  Rows rows;
  rows.pictures = shape.size() == 3;
  rows.shape = rows.pictures ? PictureShape{shape[0], shape[1], shape[2]} : PictureShape{shape[0], 1, 1};
  if (rows.shape.columns() > kMaxColumns)
    return fail(ErrorCode::kLimit, "'input_shape' makes {} numbers, expected at most {}",
                rows.shape.columns(), kMaxColumns);
  return rows;
}

}  // namespace

const char* network_layer_name(NetworkLayer::Kind kind) {
  for (const auto& [each, name] : kNames)
    if (each == kind) return name;
  return "";
}

std::vector<std::string> network_layer_names() {
  std::vector<std::string> names;
  for (const auto& [kind, name] : kNames) names.emplace_back(name);
  return names;
}

std::optional<NetworkLayer::Kind> network_layer_kind(std::string_view name) {
  for (const auto& [kind, each] : kNames)
    if (name == each) return kind;
  return std::nullopt;
}

PoolSpec NetworkStep::pool() const {
  const bool whole = layer.size == 0;
  return {layer.kind == Kind::kMaxPool ? PoolSpec::Kind::kMax : PoolSpec::Kind::kAverage, in,
          whole ? in.height : layer.size, whole ? in.width : layer.size, whole ? 1 : layer.stride};
}

Result<NetworkPlan> plan_network(const NetworkFields& fields, int64_t vocab_size) {
  Rows rows = TRY(input_rows(fields, vocab_size));
  NetworkPlan plan;
  plan.reads_tokens = rows.of == Rows::Of::kIds;
  plan.in = rows.shape;
  plan.n_activations = plan.n_widest = plan.in.columns();
  plan.steps = TRY(Planner(plan, vocab_size).plan(fields.layers, "layers.", rows));
  if (rows.of != Rows::Of::kInputs)
    return fail(ErrorCode::kParse,
                "'layers' leave {} for each token: make one of a sequence by mean_rows, max_rows or last_row",
                rows.of == Rows::Of::kIds ? "an id" : "a row");
  plan.n_hidden = rows.shape.columns();
  return plan;
}

}  // namespace volant
