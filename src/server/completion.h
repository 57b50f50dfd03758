// A completion from request to answer: prompts to ids, n answers from the engine, the answer whole or
// streamed, recorded under its id so that feedback can name it.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "registry/registry.h"
#include "server/http_exchange.h"
#include "server/metrics.h"
#include "server/model_host.h"
#include "server/openai_request.h"

namespace volant {

struct CompletionContext {
  Registry* registry = nullptr;  // where answers are recorded; null: nowhere
  Metrics* metrics = nullptr;
  // Runs a task on a worker thread: the end of an answer writes to disk, which the engine's thread must not.
  std::function<void(std::function<void()>)> post;
  int max_tokens = 1024;  // of an answer whose request names none (chat)
};

// Answers `exchange`, now (errors) or when the engine has.
void complete(const CompletionContext& context, const HttpExchangePtr& exchange, CompletionRequest request,
              const ServedModelPtr& model);

}  // namespace volant
