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

// What is learned, one text for each run of tokens.
std::vector<std::string> learned_parts(const Example& example, const Tokenizer& tokenizer) {
  std::vector<std::string> parts;
  std::vector<int32_t> run;
  for (size_t i = 0; i <= example.ids.size(); ++i) {
    if (i < example.ids.size() && example.weights[i] > 0) {
      run.push_back(example.ids[i]);
    } else if (!run.empty()) {
      parts.push_back(tokenizer.decode(run, false));
      run.clear();
    }
  }
  return parts;
}

JsonArray tool_dialogue() {
  return parse_json(R"([
      {"role": "system", "content": "Be kind."},
      {"role": "user", "content": "天气?"},
      {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "weather", "arguments": {"city": "北京"}}},
        {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
      {"role": "tool", "content": "21"},
      {"role": "tool", "content": "assistant"},
      {"role": "assistant", "content": "21 😀"},
      {"role": "user", "content": "Thanks"},
      {"role": "assistant", "content": "Bye"}])")
      ->as_array();
}

// `begin` and `end` stand around what the assistant says.
ChatTemplate tool_template(const std::string& begin, const std::string& end) {
  return ChatTemplate::
      parse("{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}" + begin +
            "{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function.arguments | tojson }}</call>"
            "{% endfor %}<|im_end|>" +
            end +
            "{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
          .value();
}

TEST(Examples, ExactlyTheAssistantsTokensAreLearnedWithMarksAndWithout) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const Conversation dialogue{.messages = tool_dialogue(), .tools = {}};
  const std::vector<std::string> said{
      "<call>{\"city\": \"北京\"}</call><call>{\"city\": \"Rome\"}</call><|im_end|>", "21 😀<|im_end|>",
      "Bye<|im_end|>"};
  const auto marked =
      conversation_examples(dialogue, *tokenizer, tool_template("{% generation %}", "{% endgeneration %}"))
          .value();
  ASSERT_EQ(marked.size(), 1U);
  EXPECT_EQ(learned_parts(marked[0], *tokenizer), said);
  const auto plain = conversation_examples(dialogue, *tokenizer, tool_template("", "")).value();
  ASSERT_EQ(plain.size(), 1U);
  EXPECT_EQ(plain[0].ids, marked[0].ids);
  std::vector<std::string> with_line_ends = said;  // which end a turn, too
  for (std::string& part : with_line_ends) part += "\n";
  EXPECT_EQ(learned_parts(plain[0], *tokenizer), with_line_ends);
}

TEST(Examples, AnAnswerInSeveralBlocksIsLearnedWhole) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat =
      ChatTemplate::parse(
          "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}"
          "{{ m.content }}{% endgeneration %} ({% generation %}{{ m.content }}"
          "{% endgeneration %}){% else %}{{ m.content }}{% endif %};{% endfor %}")
          .value();
  Conversation asked{.messages = conversation().as_array(), .tools = {}, .weight = 2};
  EXPECT_EQ(learned_parts(conversation_example(asked, *tokenizer, chat).value(), *tokenizer),
            (std::vector<std::string>{"Paris.", "Paris.", "Madrid.", "Madrid."}));
  asked.messages[1].as_object()["weight"] = 0.5;
  EXPECT_EQ(conversation_example(asked, *tokenizer, chat).error().code, ErrorCode::kUnsupported);
}

TEST(Examples, AnAnswerThatALaterTurnRewritesIsLearnedAsTheServerWouldHaveIt) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  // Thoughts are written only in the last turn.
  const ChatTemplate chat =
      ChatTemplate::parse(
          "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}"
          "<think>{{ m.thought }}</think>{% endif %}{{ m.content }}<|im_end|>{{ '\\n' }}{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
          .value();
  Conversation asked{.messages = conversation().as_array(), .tools = {}};
  asked.messages[1].as_object()["thought"] = "Seine";
  asked.messages[3].as_object()["thought"] = "Prado";
  const auto examples = conversation_examples(asked, *tokenizer, chat).value();
  ASSERT_EQ(examples.size(), 2U);
  EXPECT_EQ(learned_parts(examples[0], *tokenizer),
            (std::vector<std::string>{"<think>Seine</think>Paris.<|im_end|>\n"}));
  EXPECT_EQ(learned_parts(examples[1], *tokenizer),
            (std::vector<std::string>{"<think>Prado</think>Madrid.<|im_end|>\n"}));
  EXPECT_EQ(tokenizer->decode(examples[0].ids, false),
            "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
            "<think>Seine</think>Paris.<|im_end|>\n");
  asked.messages.push_back(JsonObject{{"role", "user"}, {"content", "Thanks"}});
  const auto open = conversation_examples(asked, *tokenizer, chat).value();  // no answer is as in the whole
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[1].ids, examples[1].ids);
  asked.messages[1].as_object()["train"] = false;
  EXPECT_EQ(conversation_examples(asked, *tokenizer, chat)->size(), 1U);
}

TEST(Examples, AnEndBehindTheLastMessageMakesNoFurtherExamples) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder).value();
  const ChatTemplate chat =
      ChatTemplate::parse(
          "{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
          "{% if add_generation_prompt %}<assistant>{% else %}{{ eos_token }}{% endif %}")
          .value();
  const auto examples =
      conversation_examples({.messages = conversation().as_array(), .tools = {}}, *tokenizer, chat).value();
  ASSERT_EQ(examples.size(), 1U);
  EXPECT_EQ(learned_parts(examples[0], *tokenizer),
            (std::vector<std::string>{"Paris.;", "Madrid.;<|im_end|>"}));
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
