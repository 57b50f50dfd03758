// A matrix with or without a bias, as a part of a model: "<name>.weight" and "<name>.bias".
#pragma once
#include <string>

#include "models/model.h"

namespace volant {

template <Ops O>
class Linear {
 public:
  explicit Linear(bool has_bias) : has_bias_(has_bias) {}

  // `spec` names the weight.
  void visit(const TensorSpec& spec, const typename Model<O>::Visitor& f) {
    f(spec, weight_);
    if (!has_bias_) return;
    const std::string stem = spec.name.substr(0, spec.name.rfind('.'));
    f(volant::bias(stem + ".bias", spec.shape[0]), bias_);
  }
  typename O::Act operator()(O& ops, const typename O::Act& x) const {
    typename O::Act y = ops.linear(x, weight_);
    return has_bias_ ? ops.add_bias(y, bias_) : std::move(y);
  }

 private:
  bool has_bias_;
  typename O::Weight weight_, bias_;
};

}  // namespace volant
