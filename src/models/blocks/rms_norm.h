// RMSNorm (Zhang and Sennrich 2019) with its weight, as a part of a model.
#pragma once
#include <string>

#include "models/model.h"

namespace volant {

struct RmsNormText {
  float eps = 1e-6F;
  float offset = 0;  // the weight counts as weight + offset (Gemma: 1)
};

template <Ops O>
class RmsNorm {
 public:
  explicit RmsNorm(const RmsNormText& text) : text_(text) {}

  void visit(const std::string& name, int64_t n, const typename Model<O>::Visitor& f) {
    TensorSpec spec = norm(name, n);
    if (text_.offset != 0) spec.init = TensorInit::kZero;
    f(spec, weight_);
  }
  typename O::Act operator()(O& ops, const typename O::Act& x) const {
    return ops.rms_norm(x, weight_, text_.eps, text_.offset);
  }

 private:
  RmsNormText text_;
  typename O::Weight weight_;
};

}  // namespace volant
