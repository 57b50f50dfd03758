// The tensors of a model without any backend: an Ops that computes nothing lets the model text name them.
#include "models/make_model.h"

namespace volant {
namespace {

struct NamesOnly {
  struct Act {};
  struct Weight {};
  using Routing = volant::Routing;
  Act embed(const Weight&, std::span<const int32_t>) { return {}; }
  Act linear(const Act&, const Weight&) { return {}; }
  Act add_bias(const Act&, const Weight&) { return {}; }
  Act rms_norm(const Act&, const Weight&, float, float = 0) { return {}; }
  Act layer_norm(const Act&, const Weight&, const Weight*, float) { return {}; }
  Act rope(const Act&, const Batch&, const RopeSpec&) { return {}; }
  Act attention(const Act&, const Act&, const Act&, const Batch&, const AttentionSpec&) { return {}; }
  Act relative_attention(const Act&, const Act&, const Act&, const Batch&, const AttentionSpec&,
                         const RelativeBias<Weight>&) {
    return {};
  }
  Act cross_attention(const Act&, const Act&, const Act&, const Batch&, const AttentionSpec&) { return {}; }
  Routing route(const Act&, const RouteSpec&) { return {}; }
  Act combine(std::span<const Act>, const Routing&) { return {}; }
  Act relu(const Act&) { return {}; }
  Act silu_mul(const Act&, const Act&) { return {}; }
  Act gelu_mul(const Act&, const Act&, Gelu) { return {}; }
  Act gelu(const Act&, Gelu) { return {}; }
  Act softcap(const Act&, float) { return {}; }
  Act scale(const Act&, float) { return {}; }
  Act add(const Act&, const Act&) { return {}; }
  Act take_rows(const Act&, std::span<const int32_t>) { return {}; }
  Act take_columns(const Act&, int64_t, int64_t) { return {}; }
  Act features(const Batch&) { return {}; }
  Act conv2d(const Act&, const Weight&, const Weight&, const ConvSpec&) { return {}; }
  Act pool2d(const Act&, const PoolSpec&) { return {}; }
  Act batch_norm(const Act&, const BatchNorm<Weight>&) { return {}; }
  Act dropout(const Act&, float) { return {}; }
  Act recurrent(const Act&, const Weight&, const Weight&, const Batch&, const RecurrentSpec&) { return {}; }
  Act pool_rows(const Act&, const Batch&, RowPool) { return {}; }
  Act join_columns(const Act&, const Act&) { return {}; }
};

}  // namespace

std::vector<TensorSpec> tensor_specs(const ModelConfig& config) {
  std::vector<TensorSpec> specs;
  make_model<NamesOnly>(config)->visit(
      [&](const TensorSpec& spec, NamesOnly::Weight&) { specs.push_back(spec); });
  return specs;
}

}  // namespace volant
