// POST /v1/embeddings: texts or token ids in, their vectors out.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "server/http_exchange.h"
#include "server/model_host.h"

namespace volant {

struct EmbeddingsRequest {
  std::string model;
  std::variant<std::vector<std::string>, std::vector<std::vector<int32_t>>> input;  // never empty
  bool base64 = false;  // vectors as little-endian f32 in base64 instead of lists of numbers
};

// Reads a request strictly, as openai_request.h does: `where` of an error is the field's name.
Result<EmbeddingsRequest> parse_embeddings_request(const Json& body);
// Computes, on the calling thread. A language model answers 400 and says what it does instead.
HttpResponse embeddings_response(const EmbeddingsRequest& request, const ServedModel& model);

}  // namespace volant
