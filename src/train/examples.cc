#include "train/examples.h"

#include <algorithm>

#include "data/row_reader.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRows = 1 << 22;

class ShardExamples final : public Examples {
 public:
  explicit ShardExamples(TokenShard shard) : shard_(std::move(shard)) {
    for (uint64_t i = 0; i < shard_.n_documents(); ++i)
      n_targets_ += std::max<uint64_t>(shard_.document_tokens(i), 1) - 1;
  }
  uint64_t size() const override { return shard_.n_documents(); }
  Example get(uint64_t index) const override { return {shard_.document(index), {}}; }
  bool may_cut() const override { return true; }
  uint64_t n_targets() const override { return n_targets_; }

 private:
  TokenShard shard_;
  uint64_t n_targets_ = 0;
};

class RowExamples final : public Examples {
 public:
  explicit RowExamples(std::vector<Example> rows) : rows_(std::move(rows)) {
    for (const Example& row : rows_)
      n_targets_ += static_cast<uint64_t>(
          std::count_if(row.weights.begin() + 1, row.weights.end(), [](float w) { return w > 0; }));
  }
  uint64_t size() const override { return rows_.size(); }
  Example get(uint64_t index) const override { return rows_[index]; }
  bool may_cut() const override { return false; }
  uint64_t n_targets() const override { return n_targets_; }

 private:
  std::vector<Example> rows_;
  uint64_t n_targets_ = 0;
};

JsonObject template_variables(const Tokenizer& tokenizer, const JsonArray& tools) {
  JsonObject variables;
  variables["bos_token"] = tokenizer.bos_id() ? tokenizer.token_text(*tokenizer.bos_id()) : "";
  variables["eos_token"] = tokenizer.eos_id() ? tokenizer.token_text(*tokenizer.eos_id()) : "";
  if (!tools.empty()) variables["tools"] = tools;
  return variables;
}

size_t common_prefix(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

Example text_example(std::string_view text, float weight, const Tokenizer& tokenizer) {
  Example example;
  example.ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (tokenizer.bos_id()) example.ids.insert(example.ids.begin(), *tokenizer.bos_id());
  if (tokenizer.eos_id()) example.ids.push_back(*tokenizer.eos_id());
  example.weights.assign(example.ids.size(), weight);
  return example;
}

Result<std::vector<Example>> examples_of_row(const JsonObject& row, const Tokenizer& tokenizer,
                                             const ChatTemplate& chat_template) {
  const float weight = TRY(weight_of(row));
  if (const Json* messages = json_find(row, "messages"); messages != nullptr) {
    Conversation conversation{.messages = messages->get_array(), .tools = {}, .weight = weight};
    if (const Json* tools = json_find(row, "tools")) conversation.tools = tools->get_array();
    return conversation_examples(conversation, tokenizer, chat_template);
  }
  if (json_find(row, "prompt") != nullptr)
    return fail(
        ErrorCode::kInvalidArgument,
        "expected a conversation or a text, got a preference; the objective 'preference' learns from it");
  return std::vector{text_example(TRY(json_string(row, "text")), weight, tokenizer)};
}

// What a message's own fields say of its part in the loss.
Result<float> message_weight(const Json& message) {
  if (!TRY(json_bool_or(message, "train", true))) return 0.0F;
  return weight_of(message.get_object());
}

}  // namespace

Result<std::unique_ptr<Examples>> shard_examples(const Path& path, int64_t n_vocab) {
  TokenShard shard = TRY(TokenShard::open(path));
  for (uint64_t i = 0; i < shard.n_documents(); ++i)
    for (const int32_t id : shard.document(i))
      if (id < 0 || id >= n_vocab)
        return fail(ErrorCode::kInvalidArgument,
                    "expected ids below vocab_size {}, got {} in document {}; "
                    "the shard and the model must come from one tokenizer",
                    n_vocab, id, i)
            .at(path.string());
  return std::unique_ptr<Examples>(std::make_unique<ShardExamples>(std::move(shard)));
}

Result<std::unique_ptr<Examples>> row_examples(const Path& path, const Tokenizer& tokenizer,
                                               const ChatTemplate& chat_template) {
  std::vector<Example> rows;
  TRY(for_each_row(path, [&](const JsonObject& row) -> Status {
    for (Example& example : TRY(examples_of_row(row, tokenizer, chat_template)))
      if (example.ids.size() > 1) rows.push_back(std::move(example));
    return {};
  }));
  return std::unique_ptr<Examples>(std::make_unique<RowExamples>(std::move(rows)));
}

Status for_each_row(const Path& rows, const std::function<Status(const JsonObject& row)>& use) {
  RowReader reader = TRY(RowReader::open(rows));
  for (uint64_t n = 0;; ++n) {
    const std::optional<JsonObject> row = TRY(reader.next());
    if (!row) return {};
    if (n == kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(reader.place());
    Status used = use(*row);
    if (!used) return std::move(used).error().at(reader.place());
  }
}

Result<float> weight_of(const JsonObject& row) {
  const Json* found = json_find(row, "weight");
  if (found == nullptr) return 1.0F;
  const double weight = found->is_number() ? found->to_number<double>() : -1;
  if (!(weight >= 0 && weight <= 1000))
    return fail(ErrorCode::kInvalidArgument, "'weight': expected 0 to 1000, got {}",
                dump_json(*found).substr(0, 64));
  return static_cast<float>(weight);
}

namespace {

// Weight of each answer of the assistant; 0 for those before first_answer.
Result<std::vector<float>> answer_weights(const Conversation& conversation) {
  std::vector<float> weights;
  for (size_t i = 0; i < conversation.messages.size(); ++i) {
    const Json& message = conversation.messages[i];
    if (TRY(json_string(message, "role")) != "assistant") continue;
    const float own = TRY(message_weight(message));
    weights.push_back(i < conversation.first_answer ? 0.0F : conversation.weight * own);
  }
  return weights;
}

// The template says itself what is an answer.
Result<Example> marked_example(const Conversation& conversation, const Tokenizer& tokenizer,
                               const ChatTemplate& chat_template) {
  const std::vector<float> weights = TRY(answer_weights(conversation));
  const RenderedChat chat = TRY(chat_template.render_marked(
      conversation.messages, false, template_variables(tokenizer, conversation.tools)));
  // A template may write an answer in several blocks; which one is whose matters only if their weights
  // differ.
  const bool alike = !weights.empty() && chat.generated.size() > weights.size() &&
                     std::all_of(weights.begin(), weights.end(), [&](float w) { return w == weights[0]; });
  if (chat.generated.size() != weights.size() && !alike)
    return fail(ErrorCode::kUnsupported,
                "expected one {{% generation %}} block for each of the {} answers, the template wrote {}",
                weights.size(), chat.generated.size());
  const Encoding encoding = TRY(tokenizer.encode_with_offsets(
      {.text = chat.text, .pair = {}},
      {.add_special = false, .parse_special = true, .truncation = {}, .padding = {}}));
  Example example{.ids = encoding.ids, .weights = std::vector<float>(encoding.ids.size(), 0.0F)};
  for (size_t a = 0; a < chat.generated.size(); ++a) {
    const std::vector<uint8_t> within = tokens_within(encoding, std::span(&chat.generated[a], 1));
    for (size_t t = 0; t < within.size(); ++t)
      if (within[t] != 0) example.weights[t] = weights[alike ? 0 : a];
  }
  return example;
}

// A template without marks: the difference between texts says what an answer is.
class Renderer {
 public:
  Renderer(const Conversation& conversation, const Tokenizer& tokenizer, const ChatTemplate& chat_template)
      : messages_(conversation.messages),
        variables_(template_variables(tokenizer, conversation.tools)),
        tokenizer_(tokenizer),
        template_(chat_template) {}
  // The first `n` messages; `prompt`: as the server would give them to the model.
  Result<std::string> text(size_t n, bool prompt) const {
    const JsonArray some(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(n));
    return template_.render(some, prompt, variables_);
  }
  // Without the end token that some templates (Phi-3) put behind the last message, whatever it is.
  std::string_view without_end(std::string_view text) const {
    const std::string_view eos = variables_.at("eos_token").as_string();
    if (!eos.empty() && text.ends_with(eos)) text.remove_suffix(eos.size());
    return text;
  }
  std::vector<int32_t> ids(std::string_view text) const {
    return tokenizer_.encode(text, {.add_special = false, .parse_special = true});
  }
  Example example(std::string_view text) const {
    Example out{.ids = ids(text), .weights = {}};
    out.weights.assign(out.ids.size(), 0.0F);
    return out;
  }

 private:
  const JsonArray& messages_;
  JsonObject variables_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
};

Result<std::vector<Example>> unmarked_examples(const Conversation& conversation, const Tokenizer& tokenizer,
                                               const ChatTemplate& chat_template) {
  const Renderer renderer(conversation, tokenizer, chat_template);
  const JsonArray& messages = conversation.messages;
  std::string whole = TRY(renderer.text(messages.size(), false));
  std::vector<Example> examples{renderer.example(whole)};  // from the last one on
  bool teaches = false;                                    // the last one of `examples` does
  for (size_t i = messages.size(); i-- > conversation.first_answer;) {
    if (TRY(json_string(messages[i], "role")) != "assistant") continue;
    const float weight = conversation.weight * TRY(message_weight(messages[i]));
    if (weight == 0) continue;
    std::string answered = TRY(renderer.text(i + 1, false));
    if (!whole.starts_with(renderer.without_end(answered))) {
      Example own = renderer.example(answered);
      if (teaches)
        examples.push_back(std::move(own));
      else
        examples.back() = std::move(own);
      whole = answered;
    }
    Example& example = examples.back();
    const size_t begin = common_prefix(renderer.ids(TRY(renderer.text(i, true))), example.ids);
    const size_t end = common_prefix(renderer.ids(answered), example.ids);
    for (size_t t = begin; t < end; ++t) example.weights[t] = weight;
    teaches = true;
  }
  std::reverse(examples.begin(), examples.end());
  return examples;
}

}  // namespace

Result<std::vector<Example>> conversation_examples(const Conversation& conversation,
                                                   const Tokenizer& tokenizer,
                                                   const ChatTemplate& chat_template) {
  if (!chat_template.marks_generation()) return unmarked_examples(conversation, tokenizer, chat_template);
  return std::vector{TRY(marked_example(conversation, tokenizer, chat_template))};
}

Result<Example> conversation_example(const Conversation& conversation, const Tokenizer& tokenizer,
                                     const ChatTemplate& chat_template) {
  std::vector<Example> examples = TRY(conversation_examples(conversation, tokenizer, chat_template));
  return std::move(examples.back());
}

}  // namespace volant
