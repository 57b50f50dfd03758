// The model text of every family, by its configuration. Included by each backend's instance alone.
#pragma once
#include <memory>

#include "models/bert.h"
#include "models/family.h"
#include "models/gemma.h"
#include "models/gpt2.h"
#include "models/llama.h"
#include "models/mistral.h"
#include "models/mixtral.h"
#include "models/model.h"
#include "models/network.h"
#include "models/phi3.h"
#include "models/qwen2.h"
#include "models/qwen3.h"
#include "models/qwen_moe.h"
#include "models/scored.h"
#include "models/t5.h"

namespace volant {

// One overload for each alternative of ModelConfig::own.
template <Ops O>
struct MakeModel {
  using Made = std::unique_ptr<Model<O>>;
  const ModelConfig& config;
  Made operator()(const BertFields&) const { return std::make_unique<Bert<O>>(config); }
  Made operator()(const Gemma2Fields&) const { return std::make_unique<Gemma2<O>>(config); }
  Made operator()(const Gemma3Fields&) const { return std::make_unique<Gemma3<O>>(config); }
  Made operator()(const Gpt2Fields&) const { return std::make_unique<Gpt2<O>>(config); }
  Made operator()(const LlamaFields&) const { return std::make_unique<Llama<O>>(config); }
  Made operator()(const MistralFields&) const { return std::make_unique<Mistral<O>>(config); }
  Made operator()(const MixtralFields&) const { return std::make_unique<Mixtral<O>>(config); }
  Made operator()(const NetworkFields&) const { return std::make_unique<Network<O>>(config); }
  Made operator()(const Phi3Fields&) const { return std::make_unique<Phi3<O>>(config); }
  Made operator()(const Qwen2Fields&) const { return std::make_unique<Qwen2<O>>(config); }
  Made operator()(const Qwen3Fields&) const { return std::make_unique<Qwen3<O>>(config); }
  Made operator()(const Qwen2MoeFields&) const { return std::make_unique<Qwen2Moe<O>>(config); }
  Made operator()(const Qwen3MoeFields&) const { return std::make_unique<Qwen3Moe<O>>(config); }
  Made operator()(const T5Fields&) const { return std::make_unique<T5<O>>(config); }
};

// Weights are empty until visit() has filled them.
template <Ops O>
std::unique_ptr<Model<O>> make_model(const ModelConfig& config) {
  std::unique_ptr<Model<O>> model = std::visit(MakeModel<O>{config}, config.own);
  if (!has_label_head(*config.family, config.architecture)) return model;
  return std::make_unique<Scored<O>>(config, std::move(model));
}

}  // namespace volant
