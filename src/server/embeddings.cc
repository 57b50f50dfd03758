#include "server/embeddings.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/nearest.h"
#include "server/api_error.h"

namespace volant {
namespace {

constexpr size_t kMaxInputs = 2048;        // texts in a request
constexpr size_t kMaxInputIds = 8192 * 8;  // ids of one text before it is cut

Error bad(std::string_view param, const std::string& message) {
  return Error{ErrorCode::kInvalidArgument, message, std::string(param)};
}

Result<std::vector<int32_t>> parse_ids(const JsonArray& list) {
  std::vector<int32_t> ids;
  if (list.size() > kMaxInputIds)
    return bad("input",
               fmt::format("expected at most {} token ids in a text, got {}", kMaxInputIds, list.size()));
  for (const Json& id : list) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > INT32_MAX)
      return bad("input",
                 "expected 'input' to be a text, a list of texts, a list of token ids, or a list of "
                 "such lists");
    ids.push_back(static_cast<int32_t>(id.get_int64()));
  }
  if (ids.empty()) return bad("input", "expected at least one token id in each text of 'input'");
  return ids;
}

Status parse_input(const Json& body, EmbeddingsRequest& out) {
  const Json* input = json_find(body, "input");
  if (input == nullptr) return bad("input", "expected 'input': a text, a list of texts, or token ids");
  if (input->is_string()) {
    out.input = std::vector<std::string>{std::string(input->get_string())};
    return {};
  }
  if (!input->is_array() || input->get_array().empty())
    return bad("input", "expected 'input' to be a text or a list that is not empty");
  const JsonArray& list = input->get_array();
  if (list[0].is_number()) {
    out.input = std::vector<std::vector<int32_t>>{TRY(parse_ids(list))};
    return {};
  }
  if (list.size() > kMaxInputs)
    return bad("input", fmt::format("expected at most {} texts a request, got {}", kMaxInputs, list.size()));
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
  for (const Json& item : list) {
    if (item.is_string() && ids.empty()) {
      texts.emplace_back(item.get_string());
    } else if (item.is_array() && texts.empty()) {
      ids.push_back(TRY(parse_ids(item.get_array())));
    } else {
      return bad("input", "expected the items of 'input' to be all texts or all lists of token ids");
    }
  }
  if (texts.empty()) {
    out.input = std::move(ids);
  } else {
    out.input = std::move(texts);
  }
  return {};
}

// RFC 4648.
std::string base64(std::span<const unsigned char> bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? bytes[i + k] : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

Json vector_json(const std::vector<float>& vector, bool as_base64) {
  if (!as_base64) return JsonArray(vector.begin(), vector.end());
  static_assert(std::endian::native == std::endian::little);
  std::vector<unsigned char> bytes(vector.size() * sizeof(float));
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return Json(base64(bytes));
}

}  // namespace

Result<EmbeddingsRequest> parse_embeddings_request(const Json& body) {
  if (!body.is_object()) return bad("", "expected a JSON object");
  const std::vector<std::string> known = {"model", "input", "encoding_format", "dimensions", "user"};
  for (const auto& entry : body.get_object()) {
    const std::string key(entry.key());
    if (std::ranges::find(known, key) == known.end())
      return bad(key, fmt::format("unknown field '{}'{}", key.substr(0, 64), did_you_mean(key, known)));
  }
  EmbeddingsRequest out;
  const Json* model = json_find(body, "model");
  if (model == nullptr || !model->is_string())
    return bad("model", "expected 'model': the name of a model; GET /v1/models lists them");
  out.model = std::string(model->get_string());
  TRY(parse_input(body, out));
  if (json_find(body, "dimensions") != nullptr)
    return Error{ErrorCode::kUnsupported,
                 "'dimensions' asks for shorter vectors, which this server does not do; leave it out",
                 "dimensions"};
  if (const Json* format = json_find(body, "encoding_format"); format != nullptr) {
    if (*format != Json("float") && *format != Json("base64"))
      return bad("encoding_format", "expected 'encoding_format' to be \"float\" or \"base64\"");
    out.base64 = *format == Json("base64");
  }
  return out;
}

HttpResponse embeddings_response(const EmbeddingsRequest& request, const ServedModel& model) {
  if (!model.embedder)
    return error_response(
        400, "unsupported",
        fmt::format("'{}' is a language model: it answers at /v1/chat/completions and gives "
                    "no embeddings; serve an encoder for those",
                    model.name),
        "model");
  const Result<std::vector<Embedding>> embeddings = std::visit(
      [&](const auto& texts) -> Result<std::vector<Embedding>> {
        if constexpr (std::is_same_v<std::decay_t<decltype(texts)>, std::vector<std::string>>) {
          return model.embedder->embed(texts);
        } else {
          return model.embedder->embed_ids(texts);
        }
      },
      request.input);
  if (!embeddings) {
    Error error = embeddings.error();
    if (error.code == ErrorCode::kInvalidArgument) error.where = "input";
    return error_response(error);
  }
  JsonArray data;
  int64_t n_tokens = 0;
  for (const Embedding& embedding : *embeddings) {
    data.push_back(JsonObject{{"object", "embedding"},
                              {"index", data.size()},
                              {"embedding", vector_json(embedding.vector, request.base64)}});
    n_tokens += embedding.n_tokens;
  }
  return json_response(
      JsonObject{{"object", "list"},
                 {"data", std::move(data)},
                 {"model", model.name},
                 {"usage", JsonObject{{"prompt_tokens", n_tokens}, {"total_tokens", n_tokens}}}});
}

}  // namespace volant
