// The model text of every family, by its configuration. Included by each backend's instance alone.
#pragma once
#include <memory>

#include "models/llama.h"
#include "models/model.h"

namespace volant {

// Weights are empty until visit() has filled them.
template <Ops O>
std::unique_ptr<Model<O>> make_model(const ModelConfig& config) {
  return std::visit(
      [&]<class Own>(const Own&) -> std::unique_ptr<Model<O>> { return std::make_unique<Llama<O>>(config); },
      config.own);
}

}  // namespace volant
