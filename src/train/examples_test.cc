#include "train/examples.h"

#include <gtest/gtest.h>

#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

Json conversation() {
  return JsonArray{JsonObject{{"role", "user"}, {"content", "What is the capital of France?"}},
                   JsonObject{{"role", "assistant"}, {"content", "Paris."}},
                   JsonObject{{"role", "user"}, {"content", "And of Spain?"}},
                   JsonObject{{"role", "assistant"}, {"content", "Madrid."}}};
}

std::string learned_text(const Example& example, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < example.ids.size(); ++i)
    if (example.weights[i] > 0) ids.push_back(example.ids[i]);
  return tokenizer.decode(ids, false);
}

TEST(Examples, OnlyWhatTheAssistantSaysIsLearned) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat =
      ChatTemplate::parse(json_string(parse_json(read_file(folder / "tokenizer_config.json").value()).value(),
                                      "chat_template")
                              .value())
          .value();
  const Example example =
      conversation_example({.messages = conversation().as_array(), .tools = {}}, *tokenizer, chat).value();
  EXPECT_EQ(learned_text(example, *tokenizer), "Paris.<|im_end|>\nMadrid.<|im_end|>\n");
}

TEST(Examples, ABadRowNamesFileAndLine) {
  VOLANT_DATA_OR_SKIP(folder, "models/stories260K");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat = ChatTemplate::parse(default_chat_template()).value();
  const testing::ScratchDir scratch;
  const Path file = scratch / "rows.jsonl";
  for (const auto& [row, word] :
       {std::pair{R"({"messages": "hello"})", "array"},
        {R"({"txt": "hello"})", "'messages'"},
        {R"({"text": "hello", "weight": -1})", "weight"},
        {R"({"messages": [{"role": "alien", "content": "x"}]})", "alien"},
        {R"({"messages": [{"role": "assistant"}]})", "content"},
        {R"({"prompt": "a", "chosen": "b", "rejected": "c"})", "preference"},
        {R"({"messages": [{"role": "assistant", "content": "x", "weight": "no"}]})", "weight"}}) {
    ASSERT_TRUE(write_file_atomic(file, std::string("{\"text\": \"fine\"}\n") + row + "\n"));
    const auto rows = row_examples(file, *tokenizer, chat);
    ASSERT_FALSE(rows) << row;
    EXPECT_NE(rows.error().to_string().find(file.string() + ":2"), std::string::npos)
        << rows.error().to_string();
    EXPECT_NE(rows.error().to_string().find(word), std::string::npos) << rows.error().to_string();
  }
}

TEST(Examples, AShardOfAnotherVocabularyIsRefused) {
  const testing::ScratchDir scratch;
  ASSERT_TRUE(write_token_shard(scratch / "s", {{1, 2, 3}, {4, 90}}, 100));
  EXPECT_EQ(shard_examples(scratch / "s", 100).value()->n_targets(), 3U);
  EXPECT_EQ(shard_examples(scratch / "s", 90).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(shard_examples(scratch / "missing", 90));
}

}  // namespace
}  // namespace volant
