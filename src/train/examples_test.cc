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

ChatTemplate template_of(const Path& folder) {
  const Json config = parse_json(read_file(folder / "tokenizer_config.json").value()).value();
  return ChatTemplate::parse(json_string(config, "chat_template").value()).value();
}

TEST(Examples, ToolCallsAreLearnedAndToolsAndResultsAreRead) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const testing::ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "rows.jsonl", R"({"conversations": [
      {"from": "system", "value": "Be kind."}, {"from": "human", "value": "Weather in Rome?"},
      {"from": "function_call", "value": "{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}"},
      {"from": "observation", "value": "{\"sky\": \"blue\"}"}, {"from": "gpt", "value": "It is sunny."}],
      "tools": "[{\"name\": \"weather\", \"description\": \"Tells it.\", \"parameters\": {}}]"})"));
  std::string text = read_file(scratch / "rows.jsonl").value();
  std::erase(text, '\n');
  ASSERT_TRUE(write_file_atomic(scratch / "rows.jsonl", text));
  const auto rows = row_examples(scratch / "rows.jsonl", *tokenizer, template_of(folder)).value();
  ASSERT_EQ(rows->size(), 1U);
  const Example example = rows->get(0);
  EXPECT_EQ(
      learned_text(example, *tokenizer),
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call><|im_end|>\n"
      "It is sunny.<|im_end|>\n");
  const std::string whole = tokenizer->decode(example.ids, false);
  for (const char* part :
       {"Be kind.", "\"description\": \"Tells it.\"", "<tool_response>\n{\"sky\": \"blue\"}"})
    EXPECT_NE(whole.find(part), std::string::npos) << whole;
}

TEST(Examples, MessagesHaveWeightsOfTheirOwn) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat = template_of(folder);
  JsonArray messages = conversation().as_array();
  messages[1].as_object()["train"] = false;
  const Example second = conversation_example({.messages = messages, .tools = {}}, *tokenizer, chat).value();
  EXPECT_EQ(learned_text(second, *tokenizer), "Madrid.<|im_end|>\n");
  messages[1].as_object() = {{"role", "assistant"}, {"content", "Paris."}, {"weight", 0.25}};
  const Example both =
      conversation_example({.messages = messages, .tools = {}, .weight = 2}, *tokenizer, chat).value();
  std::vector<float> weights;
  for (const float w : both.weights)
    if (w > 0 && (weights.empty() || weights.back() != w)) weights.push_back(w);
  EXPECT_EQ(weights, (std::vector<float>{0.5F, 2.0F}));
  const Example last =
      conversation_example({.messages = conversation().as_array(), .tools = {}, .first_answer = 2},
                           *tokenizer, chat)
          .value();
  EXPECT_EQ(learned_text(last, *tokenizer), "Madrid.<|im_end|>\n");
}

TEST(Examples, GenerationBlocksOfTheTemplateSayWhatIsLearned) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat =
      ChatTemplate::parse(
          "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}"
          "{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}")
          .value();
  const Example example =
      conversation_example({.messages = conversation().as_array(), .tools = {}}, *tokenizer, chat).value();
  EXPECT_EQ(learned_text(example, *tokenizer), "Paris.<|im_end|>Madrid.<|im_end|>");
  JsonArray messages = conversation().as_array();
  messages[3].as_object()["train"] = false;
  const Example first = conversation_example({.messages = messages, .tools = {}}, *tokenizer, chat).value();
  EXPECT_EQ(learned_text(first, *tokenizer), "Paris.<|im_end|>");
}

TEST(Examples, RealSetsOfEveryLayoutBecomeExamples) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat = template_of(folder);
  const Path sets = folder.parent_path().parent_path() / "datasets";
  for (const auto& [file, size] : {std::pair{"llama-factory-demos/identity.json", 91U},
                                   {"llama-factory-demos/glaive_toolcall_zh_demo.json", 300U},
                                   {"seed-tasks/seed_tasks_en.jsonl", 175U}}) {
    const auto rows = row_examples(sets / file, *tokenizer, chat).value();
    EXPECT_EQ(rows->size(), size) << file;
    for (uint64_t i = 0; i < rows->size(); ++i) EXPECT_FALSE(learned_text(rows->get(i), *tokenizer).empty());
  }
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
