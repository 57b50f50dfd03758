// A model on a backend, whatever its family: what loading, serving and training ask of it.
#pragma once
#include <functional>

#include "models/model_config.h"
#include "ops/ops.h"
#include "ops/segment.h"

namespace volant {

template <class O>
class Model {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;
  using Visitor = std::function<void(const TensorSpec&, Weight&)>;

  virtual ~Model() = default;
  // Names every tensor once.
  virtual void visit(const Visitor& f) = 0;
  // Hidden states of the rows that are read out, after the last norm: [R, D].
  virtual Act hidden(O& ops, const Batch& batch) const = 0;
  // Of a language model; without weight for the others.
  virtual LmHead<Weight> lm_head() const { return {}; }
  // Language model: logits [R, V]. Encoder: hidden states [R, D]. Classifier: scores [R, n_label], which it
  // overrides.
  virtual Act output(O& ops, const Batch& batch) const {
    const LmHead<Weight> head = lm_head();
    Act x = hidden(ops, batch);
    if (head.weight == nullptr) return x;
    x = ops.linear(x, *head.weight);
    if (head.bias != nullptr) x = ops.add_bias(x, *head.bias);
    if (head.scale != 1) x = ops.scale(x, head.scale);
    return head.softcap > 0 ? ops.softcap(x, head.softcap) : std::move(x);
  }
};

}  // namespace volant
