// Examples: the documents of a training or validation set as ids,
// each id with the weight of its prediction in the loss.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "data/token_shard.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace volant {

struct Example {
  std::vector<int32_t> ids;
  std::vector<float> weights;  // of predicting ids[i]; empty: all 1
};

class Examples {
 public:
  virtual ~Examples() = default;
  virtual uint64_t size() const = 0;
  virtual Example get(uint64_t index) const = 0;
  // Whether a long example may be cut into pieces that start
  // anew (documents), or must stay whole (conversations).
  virtual bool may_cut() const = 0;
  // Ids that are predicted in one pass over all.
  virtual uint64_t n_targets() const = 0;
};

// Documents of a token shard. kInvalidArgument when an id is not below n_vocab.
Result<std::unique_ptr<Examples>> shard_examples(const Path& shard, int64_t n_vocab);

// Rows of a file in any layout (data/row_layout.h), documents and conversations: a conversation through the
// chat template with its tools, as conversation_examples() has it; {"text"} with loss on everything. "weight"
// of a row, and of a message, multiplies its loss; "train": false of a message is weight 0. Errors name file
// and line.
Result<std::unique_ptr<Examples>> row_examples(const Path& rows, const Tokenizer& tokenizer,
                                               const ChatTemplate& chat_template);
// Calls `use` for each row of the file; errors, those of `use` too, name file and line.
Status for_each_row(const Path& rows, const std::function<Status(const JsonObject& row)>& use);

struct Conversation {
  JsonArray messages, tools;
  size_t first_answer = 0;  // messages before it are not learned from
  float weight = 1;
};
// What is learned is what the template's {% generation %} blocks write, or, where it has none, what an answer
// adds to the prompt that the server would give the model. Most templates write an answer alike whatever
// comes after it, and one example teaches all; where one leaves out the thoughts of former turns (Qwen3,
// DeepSeek-R1), an answer that the whole conversation has otherwise is learned from an example of its own,
// which ends with it. In the order of the conversation, one at least. kUnsupported when blocks and answers
// cannot be told apart.
Result<std::vector<Example>> conversation_examples(const Conversation& conversation,
                                                   const Tokenizer& tokenizer,
                                                   const ChatTemplate& chat_template);
// The last of them: the one with the whole conversation, where that ends with an answer.
Result<Example> conversation_example(const Conversation& conversation, const Tokenizer& tokenizer,
                                     const ChatTemplate& chat_template);

// "weight" of a row: 0 to 1000, 1 when there is none.
Result<float> weight_of(const JsonObject& row);

}  // namespace volant
