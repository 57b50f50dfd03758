// A network of layers by its configuration: dense, convolutional and recurrent layers over rows of numbers,
// pictures or sequences of token ids, and a dense head to the outputs. It says nothing of what the outputs
// mean: see problem_type.
// T rows read, S sequences, R rows read out; a row of numbers is a sequence of its own.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"
#include "models/network_plan.h"

namespace volant {

template <Ops O>
class Network final : public Model<O> {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  // `config` has been read by ModelConfig::from_json, or is as good as such.
  explicit Network(const ModelConfig& config)
      : own_(std::get<NetworkFields>(config.own)),
        n_vocab_(config.vocab_size),
        n_output_(config.n_outputs()) {
    NetworkPlan plan = plan_network(own_, own_.reads_tokens() ? n_vocab_ : 0).value();
    n_hidden_ = plan.n_hidden;
    layers_ = layers_of(std::move(plan.steps));
  }

  void visit(const typename Model<O>::Visitor& f) override {
    for (Layer& layer : layers_) visit_layer(f, layer);
    TensorSpec head = volant::lm_head("head.weight", n_output_, n_hidden_);
    start(head, n_hidden_);
    f(head, head_.weight);
    visit_bias(f, "head.bias", n_output_, n_hidden_, head_.bias);
  }

  Act hidden(O& ops, const Batch& batch) const override {
    Act last;
    if (own_.reads_tokens())
      return ops.take_rows(through(ops, batch, layers_, {}, last), sequences_of(batch));
    return ops.take_rows(through(ops, batch, layers_, ops.features(batch), last), batch.out_rows);
  }

  Act output(O& ops, const Batch& batch) const override { return linear(ops, hidden(ops, batch), head_); }

 private:
  using Kind = NetworkLayer::Kind;
  struct Linear {
    Weight weight, bias;
  };
  struct Direction {  // of an LSTM or GRU
    Linear from_input, from_hidden;
  };
  struct Layer {
    NetworkStep step;
    Linear own = {};  // or scale and shift of a norm
    Weight mean = {}, variance = {};
    Direction forwards = {}, backwards = {};
    Linear projection = {};
    std::vector<Layer> layers = {};
  };

  static std::vector<Layer> layers_of(std::vector<NetworkStep> steps) {
    std::vector<Layer> layers;
    for (NetworkStep& step : steps) {
      layers.push_back(Layer{.step = std::move(step)});
      layers.back().layers = layers_of(std::move(layers.back().step.steps));
    }
    return layers;
  }

  // PyTorch's default: uniform within 1 / sqrt(inputs).
  static void start(TensorSpec& spec, int64_t n_in) {
    spec.init = TensorInit::kUniform;
    spec.bound = 1 / std::sqrt(static_cast<double>(n_in));
  }
  static void visit_bias(const typename Model<O>::Visitor& f, const std::string& name, int64_t n,
                         int64_t n_in, Weight& to) {
    TensorSpec spec = bias(name, n);
    start(spec, n_in);
    f(spec, to);
  }
  static void visit_linear(const typename Model<O>::Visitor& f, const std::string& name, int64_t n_out,
                           int64_t n_in, Linear& to) {
    TensorSpec spec = matrix(name + ".weight", n_out, n_in);
    start(spec, n_in);
    f(spec, to.weight);
    visit_bias(f, name + ".bias", n_out, n_in, to.bias);
  }
  static void visit_conv(const typename Model<O>::Visitor& f, const std::string& name, const ConvSpec& conv,
                         Linear& to) {
    const PictureShape out = conv.out();
    TensorSpec spec{.name = name + ".weight",
                    .shape = {conv.channels, conv.in.channels, conv.kernel, conv.kernel},
                    .active = static_cast<double>(out.height * out.width)};
    start(spec, conv.n_in());
    f(spec, to.weight);
    visit_bias(f, name + ".bias", conv.channels, conv.n_in(), to.bias);
  }
  static void visit_norm(const typename Model<O>::Visitor& f, const std::string& name, int64_t n,
                         Linear& to) {
    f(norm(name + ".weight", n), to.weight);
    f(bias(name + ".bias", n), to.bias);
  }
  // nn.LSTM and nn.GRU of one layer.
  static void visit_direction(const typename Model<O>::Visitor& f, const NetworkStep& step, const char* end,
                              Direction& to) {
    const int64_t units = step.layer.units, n_out = recurrent(step, false).n_gates() * units;
    const auto visit_one = [&](const char* name, std::vector<int64_t> shape, TensorRole role,
                               Weight& weight) {
      TensorSpec spec{.name = step.name + name + end, .shape = std::move(shape), .role = role};
      start(spec, units);
      f(spec, weight);
    };
    visit_one(".weight_ih_l0", {n_out, step.in.columns()}, TensorRole::kMatrix, to.from_input.weight);
    visit_one(".weight_hh_l0", {n_out, units}, TensorRole::kMatrix, to.from_hidden.weight);
    visit_one(".bias_ih_l0", {n_out}, TensorRole::kVector, to.from_input.bias);
    visit_one(".bias_hh_l0", {n_out}, TensorRole::kVector, to.from_hidden.bias);
  }

  void visit_layer(const typename Model<O>::Visitor& f, Layer& layer) {
    const NetworkStep& step = layer.step;
    const int64_t n_in = step.in.columns(), n_out = step.out.columns();
    switch (step.layer.kind) {
      case Kind::kDense:
        return visit_linear(f, step.name, n_out, n_in, layer.own);
      case Kind::kConv:
        return visit_conv(f, step.name, step.conv(), layer.own);
      case Kind::kBatchNorm: {
        visit_norm(f, step.name, step.in.channels, layer.own);
        TensorSpec mean = bias(step.name + ".running_mean", step.in.channels),
                   variance = norm(step.name + ".running_var", step.in.channels);
        mean.role = variance.role = TensorRole::kStatistic;
        f(mean, layer.mean);
        return f(variance, layer.variance);
      }
      case Kind::kLayerNorm:
        return visit_norm(f, step.name, n_in, layer.own);
      case Kind::kEmbedding:
        return f(embedding(step.name + ".weight", n_vocab_, step.layer.units), layer.own.weight);
      case Kind::kLstm:
      case Kind::kGru:
        visit_direction(f, step, "", layer.forwards);
        if (step.layer.bidirectional) visit_direction(f, step, "_reverse", layer.backwards);
        return;
      case Kind::kResidual:
        for (Layer& inner : layer.layers) visit_layer(f, inner);
        if (!step.projects) return;
        if (step.pictures) return visit_conv(f, step.name + ".projection", step.projection, layer.projection);
        return visit_linear(f, step.name + ".projection", n_out, n_in, layer.projection);
      default:
        return;
    }
  }

  static RecurrentSpec recurrent(const NetworkStep& step, bool backwards) {
    return {step.layer.kind == Kind::kLstm ? RecurrentSpec::Kind::kLstm : RecurrentSpec::Kind::kGru,
            step.layer.units, backwards};
  }

  static Act linear(O& ops, const Act& x, const Linear& w) {
    return ops.add_bias(ops.linear(x, w.weight), w.bias);
  }
  static Act along(O& ops, const Batch& batch, const NetworkStep& step, bool backwards, const Direction& w,
                   const Act& x) {
    return ops.recurrent(linear(ops, x, w.from_input), w.from_hidden.weight, w.from_hidden.bias, batch,
                         recurrent(step, backwards));
  }

  static bool does_nothing(const NetworkLayer& layer) {
    return layer.kind == Kind::kFlatten || (layer.kind == Kind::kDropout && layer.p == 0);
  }
  // What the layers make of x: kept in `last`, or x itself.
  const Act& through(O& ops, const Batch& batch, const std::vector<Layer>& layers, const Act& x,
                     Act& last) const {
    const Act* now = &x;
    for (const Layer& layer : layers) {
      if (does_nothing(layer.step.layer)) continue;
      last = apply(ops, batch, layer, *now);
      now = &last;
    }
    return *now;
  }

  Act apply(O& ops, const Batch& batch, const Layer& layer, const Act& x) const {
    const NetworkStep& step = layer.step;
    switch (step.layer.kind) {
      case Kind::kDense:
        return linear(ops, x, layer.own);
      case Kind::kConv:
        return ops.conv2d(x, layer.own.weight, layer.own.bias, step.conv());
      case Kind::kMaxPool:
      case Kind::kAveragePool:
        return ops.pool2d(x, step.pool());
      case Kind::kBatchNorm:
        return ops.batch_norm(x, batch_norm(layer));
      case Kind::kLayerNorm:
        return ops.layer_norm(x, layer.own.weight, &layer.own.bias, static_cast<float>(own_.layer_norm_eps));
      case Kind::kRelu:
        return ops.relu(x);
      case Kind::kGelu:
        return ops.gelu(x, Gelu::kErf);
      case Kind::kTanh:
        return ops.softcap(x, 1);
      case Kind::kDropout:
        return ops.dropout(x, static_cast<float>(step.layer.p));
      case Kind::kResidual:
        return residual(ops, batch, layer, x);
      case Kind::kEmbedding:
        return ops.embed(layer.own.weight, batch.tokens);
      case Kind::kLstm:
      case Kind::kGru: {
        Act h = along(ops, batch, step, false, layer.forwards, x);
        if (!step.layer.bidirectional) return h;
        return ops.join_columns(h, along(ops, batch, step, true, layer.backwards, x));
      }
      case Kind::kMeanRows:
        return ops.pool_rows(x, batch, RowPool::kMean);
      case Kind::kMaxRows:
        return ops.pool_rows(x, batch, RowPool::kMax);
      case Kind::kLastRow:
        return ops.pool_rows(x, batch, RowPool::kLast);
      case Kind::kFlatten:
        break;
    }
    return {};  // of layers that do nothing: see through()
  }

  BatchNorm<Weight> batch_norm(const Layer& layer) const {
    return {.scale = &layer.own.weight,
            .shift = &layer.own.bias,
            .mean = &layer.mean,
            .variance = &layer.variance,
            .shape = layer.step.in,
            .eps = static_cast<float>(own_.batch_norm_eps),
            .momentum = static_cast<float>(own_.batch_norm_momentum)};
  }

  Act residual(O& ops, const Batch& batch, const Layer& layer, const Act& x) const {
    Act last;
    const Act& h = through(ops, batch, layer.layers, x, last);
    if (!layer.step.projects) return ops.add(x, h);
    const Linear& w = layer.projection;
    return ops.add(
        layer.step.pictures ? ops.conv2d(x, w.weight, w.bias, layer.step.projection) : linear(ops, x, w), h);
  }

  // The sequences that the rows read out belong to.
  static std::vector<int32_t> sequences_of(const Batch& batch) {
    std::vector<int32_t> sequences;
    for (const int32_t row : batch.out_rows) {
      const auto after = std::upper_bound(batch.seq_begin.begin(), batch.seq_begin.end(), row);
      sequences.push_back(static_cast<int32_t>(after - batch.seq_begin.begin()) - 1);
    }
    return sequences;
  }

  NetworkFields own_;
  int64_t n_vocab_, n_output_, n_hidden_ = 0;
  std::vector<Layer> layers_;
  Linear head_;
};

}  // namespace volant
