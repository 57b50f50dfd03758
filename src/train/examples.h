// Examples: the documents of a training or validation set as ids,
// each id with the weight of its prediction in the loss.
#pragma once
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

// Rows of JSON Lines: {"messages": [...], "weight"?: n} through the chat
// template, loss on what the assistant says and on the end of its turns; {"text":
// ..., "weight"?: n} with loss on everything. Errors name file and line.
Result<std::unique_ptr<Examples>> row_examples(const Path& rows, const Tokenizer& tokenizer,
                                               const ChatTemplate& chat_template);

// One conversation as an example; `messages` as in a row.
Result<Example> conversation_example(const JsonArray& messages, float weight, const Tokenizer& tokenizer,
                                     const ChatTemplate& chat_template);

}  // namespace volant
