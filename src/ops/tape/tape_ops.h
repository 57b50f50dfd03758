// TapeOps: the concept Ops on the native kernels, with a tape of what was done, so that the gradient of the
// outputs by the inputs can be found: for explanations and attacks, without libtorch. Inputs are the rows of
// batch.features, or the word embeddings of batch.tokens. Weights have no gradient, and there is no cache.
// f32.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ops/native/native_ops.h"
#include "ops/ops.h"

namespace volant {

struct TapeWeight {
  NativeWeight plain;
  mutable NativeWeight turned;  // the transposed matrix, made when it is first needed on the way back
};

class TapeOps {
 public:
  struct Node {
    NativeAct value;
    std::vector<float> gradient;  // as many numbers as `value`; empty: none came back here yet
    std::function<void()>
        backward;          // adds to the gradients of what it was made from; empty: an input or constant
    bool depends = false;  // on the inputs
  };
  struct Act {
    std::shared_ptr<Node> node;
    int64_t rows() const { return node->value.rows(); }
    int64_t columns() const { return node->value.columns(); }
  };
  using Weight = TapeWeight;
  using Routing = volant::Routing;

  // Where a pass starts: word embeddings times `embedding_scale` (a point on the way from nothing to the
  // input), and features or embeddings plus `shift`, as many numbers as they are, or none.
  struct Start {
    float embedding_scale = 1;
    std::span<const float> shift = {};
  };
  TapeOps(ThreadPool& threads, const Batch& batch, const Start& start)
      : native_(threads, nullptr), words_(batch.tokens.data()), start_(start) {}

  // Goes back from `output` whose gradient is `gradient` (as many numbers as it has).
  void go_back(const Act& output, std::span<const float> gradient);
  // Of the inputs: [T, F] or [T, D]; empty before go_back().
  std::span<const float> input_gradient() const;
  // Whether the shift had as many numbers as the inputs; it was left out otherwise.
  bool shift_fits() const { return shift_fits_; }
  // The inputs as they went in, scaled and shifted.
  std::span<const float> input() const;

  Act embed(const Weight& w, std::span<const int32_t> ids);
  Act linear(const Act& x, const Weight& w);
  Act add_bias(const Act& x, const Weight& b);
  Act rms_norm(const Act& x, const Weight& w, float eps, float offset = 0);
  Act layer_norm(const Act& x, const Weight& w, const Weight* b, float eps);
  Act rope(const Act& x, const Batch& batch, const RopeSpec& spec);
  Act attention(const Act& q, const Act& k, const Act& v, const Batch& batch, const AttentionSpec& spec);
  Act relu(const Act& x);
  Act silu_mul(const Act& gate, const Act& up);
  Act gelu_mul(const Act& gate, const Act& up, Gelu kind);
  Act gelu(const Act& x, Gelu kind);
  Act softcap(const Act& x, float cap);
  Act scale(const Act& x, float factor);
  Act add(const Act& x, const Act& y);
  Act take_rows(const Act& x, std::span<const int32_t> rows);
  Act take_columns(const Act& x, int64_t begin, int64_t count);
  Act features(const Batch& batch);
  Act conv2d(const Act& x, const Weight& w, const Weight& b, const ConvSpec& spec);
  Act pool2d(const Act& x, const PoolSpec& spec);
  Act batch_norm(const Act& x, const BatchNorm<Weight>& norm);
  Act dropout(const Act& x, float) { return x; }
  Act recurrent(const Act& gates, const Weight& w, const Weight& b, const Batch& batch,
                const RecurrentSpec& spec);
  Act pool_rows(const Act& x, const Batch& batch, RowPool kind);
  Act join_columns(const Act& x, const Act& y);

  // Not done: whoever makes a model for this refuses those that need them.
  Act relative_attention(const Act&, const Act&, const Act&, const Batch&, const AttentionSpec&,
                         const RelativeBias<Weight>&);
  Act cross_attention(const Act&, const Act&, const Act&, const Batch&, const AttentionSpec&);
  Routing route(const Act&, const RouteSpec&);
  Act combine(std::span<const Act>, const Routing&);

 private:
  // A node for `value`; it depends on the inputs when one of `from` does.
  Act record(NativeAct value, std::initializer_list<const Act*> from);
  // A node that gradients are asked of.
  Act starts_from(NativeAct value);
  // The gradient of `of`, zeros at first; null where nothing depends on the inputs.
  static float* gradient_of(const Act& of);
  // Gradient of x from that of y, number by number: dx += dy * f(x).
  template <class F>
  Act each(NativeAct value, const Act& x, F derivative);

  NativeOps native_;
  const int32_t* words_;
  Start start_;
  bool shift_fits_ = true;
  Act input_;
  std::vector<std::shared_ptr<Node>> nodes_;
};

}  // namespace volant
