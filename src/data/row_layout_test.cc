// Every layout against the row that it means, written out.
#include "data/row_layout.h"

#include <gtest/gtest.h>

#include "data/row_reader.h"
#include "support/test_data.h"

namespace volant {
namespace {

std::string canonical(const char* row, const RowLayout& layout = {}) {
  const auto rows = canonical_rows(parse_json(row).value(), layout);
  if (!rows) return "error: " + rows.error().to_string();
  std::string out;
  for (const JsonObject& each : *rows) out += (out.empty() ? "" : "\n") + dump_json(each);
  return out;
}

TEST(RowLayout, DocumentsKeepTheirFields) {
  EXPECT_EQ(canonical(R"({"text":"a","label":2})"), R"({"text":"a","label":2})");
  EXPECT_EQ(
      canonical(R"({"title":"t","paragraphs":["a","b"]})", {RowFormat::kAuto, {{"text", "paragraphs"}}}),
      R"({"title":"t","text":"a\nb"})");
}

TEST(RowLayout, OpenAiMessages) {
  EXPECT_EQ(
      canonical(R"({"messages":[{"role":"developer","content":"s"},{"role":"user","content":
      [{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":null,"weight":0,
      "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"2"}],"tools":[{"type":"function","function":{"name":"f"}}],
      "weight":3})"),
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"ab"},)"
      R"({"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f",)"
      R"("arguments":{"x":1}},"id":"c1"}],"weight":0},{"role":"tool","content":"2","tool_call_id":"c1"}],)"
      R"("tools":[{"type":"function","function":{"name":"f"}}],"weight":3})");
  // The older way to call one function.
  EXPECT_EQ(canonical(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,
      "function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}]})"),
            R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":)"
            R"([{"type":"function","function":{"name":"f","arguments":{}}}]},)"
            R"({"role":"tool","content":"1","name":"f"}]})");
}

TEST(RowLayout, Alpaca) {
  EXPECT_EQ(canonical(R"({"instruction":"i","input":"","output":"o"})"),
            R"({"messages":[{"role":"user","content":"i"},{"role":"assistant","content":"o"}]})");
  EXPECT_EQ(
      canonical(R"({"instruction":"i","input":"x","output":"o","system":"s","history":[["q","a"]],"id":7})"),
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},)"
      R"({"role":"assistant","content":"a"},{"role":"user","content":"i\nx"},)"
      R"({"role":"assistant","content":"o"}],"id":7})");
  EXPECT_EQ(canonical(R"({"instruction":"i","context":"x","response":"o"})"),
            R"({"messages":[{"role":"user","content":"i\nx"},{"role":"assistant","content":"o"}]})");
}

TEST(RowLayout, ShareGptWithTools) {
  EXPECT_EQ(
      canonical(R"({"conversations":[{"from":"system","value":"s"},{"from":"human","value":"q"},
      {"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},
      {"from":"observation","value":"{}"},{"from":"gpt","value":"a"}],
      "tools":"[{\"name\":\"f\",\"description\":\"d\",\"parameters\":{}}]"})"),
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant",)"
      R"("content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]},)"
      R"({"role":"tool","content":"{}"},{"role":"assistant","content":"a"}],"tools":[{"type":"function",)"
      R"("function":{"name":"f","description":"d","parameters":{}}}]})");
}

TEST(RowLayout, PromptAndCompletionLearnTheCompletionAlone) {
  EXPECT_EQ(canonical(R"({"prompt":"p","completion":"c"})"),
            R"({"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"c"}]})");
  EXPECT_EQ(canonical(R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},
      {"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]})"),
            R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","train":false},)"
            R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})");
  EXPECT_EQ(
      canonical(R"({"code":"x","prompt":"p"})", {RowFormat::kPromptCompletion, {{"completion", "code"}}}),
      R"({"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"x"}]})");
}

TEST(RowLayout, Preferences) {
  const std::string expected =
      R"({"prompt":[{"role":"user","content":"p"}],"chosen":[{"role":"assistant","content":"c"}],)"
      R"("rejected":[{"role":"assistant","content":"r"}]})";
  for (const char* row :
       {R"({"prompt":"p","chosen":"c","rejected":"r"})",
        R"({"instruction":"p","input":"","chosen":"c","rejected":"r"})",
        R"({"conversations":[{"from":"human","value":"p"}],"chosen":{"from":"gpt","value":"c"},
            "rejected":{"from":"gpt","value":"r"}})",
        R"({"chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"c"}],
            "rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"r"}]})",
        R"({"prompt":"p","chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"c"}],
            "rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"r"}]})",
        R"({"chosen":"\n\nHuman: p\n\nAssistant: c","rejected":"\n\nHuman: p\n\nAssistant: r"})",
        R"({"prompt":"\n\nHuman: p\n\nAssistant:","chosen":"c","rejected":"r"})"}) {
    EXPECT_EQ(canonical(row), expected) << row;
  }
  // Dialogues that part early: what follows the shared turns is the answer.
  EXPECT_EQ(
      canonical(R"({"chosen":"\n\nHuman: p\n\nAssistant: c","rejected":
      "\n\nHuman: p\n\nAssistant: r\n\nHuman: no\n\nAssistant: x"})"),
      R"({"prompt":[{"role":"user","content":"p"}],"chosen":[{"role":"assistant","content":"c"}],"rejected":)"
      R"([{"role":"assistant","content":"r"},{"role":"user","content":"no"},{"role":"assistant","content":"x"}]})");
}

TEST(RowLayout, KtoLabels) {
  const std::string expected =
      R"({"prompt":[{"role":"user","content":"p"}],"completion":[{"role":"assistant","content":"c"}],"label":false})";
  EXPECT_EQ(canonical(R"({"prompt":"p","completion":"c","label":false})"), expected);
  EXPECT_EQ(canonical(R"({"instruction":"p","input":"","output":"c","kto_tag":false})"), expected);
  EXPECT_EQ(
      canonical(
          R"({"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"c"}],"label":false})"),
      expected);
  EXPECT_EQ(canonical(R"({"prompt":"p","completion":"c","label":0})", {RowFormat::kKto, {}}), expected);
}

TEST(RowLayout, AnswersToOnePromptHaveOnePromptText) {
  const auto text = [](const char* row) {
    return prompt_text(canonical_rows(parse_json(row).value()).value().front());
  };
  const std::string expected = text(R"({"prompt":"p","chosen":"c","rejected":"r"})");
  EXPECT_NE(expected.find("p"), std::string::npos);
  EXPECT_EQ(text(R"({"prompt":"p","chosen":"other","rejected":"r"})"), expected);
  EXPECT_EQ(text(R"({"instruction":"p","output":"c"})"), expected);
  EXPECT_EQ(text(R"({"prompt":"p","completion":"c","label":true})"), expected);
  EXPECT_NE(text(R"({"prompt":"q","chosen":"c","rejected":"r"})"), expected);
  EXPECT_EQ(text(R"({"text":"t"})"), "t");
}

TEST(RowLayout, InstancesAreRowsOfTheirOwn) {
  EXPECT_EQ(
      canonical(R"({"instruction":"i","instances":[{"input":"","output":"a"},{"input":"x","output":"b"}]})"),
      R"({"messages":[{"role":"user","content":"i"},{"role":"assistant","content":"a"}]})"
      "\n"
      R"({"messages":[{"role":"user","content":"i\nx"},{"role":"assistant","content":"b"}]})");
}

TEST(RowLayout, ErrorsNameTheField) {
  const auto refuses = [](const char* row, const char* word, const RowLayout& layout = {}) {
    const std::string got = canonical(row, layout);
    EXPECT_TRUE(got.starts_with("error: ") && got.find(word) != std::string::npos) << row << " gave " << got;
  };
  refuses(R"([1])", "object");
  refuses(R"({"foo":1,"bar":2})", "foo, bar");
  refuses(R"({"text":7})", "'text'");
  refuses(R"({"messages":"hi"})", "'messages'");
  refuses(R"({"messages":[]})", "messages");
  refuses(R"({"messages":[{"role":"user","content":"q"},{"role":"alien","content":"x"}]})", "message 2");
  refuses(R"({"messages":[{"role":"user"}]})", "content");
  refuses(R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]})", "image_url");
  refuses(R"({"conversations":[{"from":"function_call","value":"not json"}]})", "function_call");
  refuses(R"({"conversations":[{"from":"human","value":"q"}],"tools":"{"})", "'tools'");
  refuses(R"({"instruction":"i","input":""})", "'output'");
  refuses(R"({"instruction":"i","output":"o","history":[["q"]]})", "'history'");
  refuses(R"({"chosen":"a","rejected":"b"})", "'prompt'");
  refuses(R"({"prompt":"p","chosen":"c","rejected":[{"role":"user","content":"r"}]})", "'rejected'");
  refuses(R"({"prompt":"p","completion":"c","label":"yes"})", "'label'", {RowFormat::kKto, {}});
  refuses(R"({"text":"a"})", "'messages'", {RowFormat::kMessages, {}});
  refuses(R"({"text":"a"})", "'body'", {RowFormat::kAuto, {{"text", "body"}}});
  EXPECT_NE(row_format_of("sharegtp").error().to_string().find("sharegpt"), std::string::npos);
  EXPECT_NE(row_layout_from_json(parse_json(R"({"columns":{"promt":"x"}})").value())
                .error()
                .to_string()
                .find("prompt"),
            std::string::npos);
}

// The real files, as they are: how many rows, and what the first one means.
struct RealSet {
  const char *file, *begins;
  size_t rows;
};

TEST(RowLayout, RealSetsLoadUnchanged) {
  VOLANT_DATA_OR_SKIP(folder, "datasets");
  const std::string dpo_en =
      R"({"prompt":[{"role":"user","content":"Hi! I'd like to create a new language game simulating the first person perspective of a character named Angela."}],"chosen":[{"role":"assistant","content":"That sounds like a fun and engaging idea!)";
  const RealSet sets[] = {
      {"llama-factory-demos/identity.json",
       R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Hello! I am {{name}}, an AI assistant developed by {{author}}. How can I assist you today?"}]})",
       91},
      {"llama-factory-demos/glaive_toolcall_en_demo.json",
       R"({"messages":[{"role":"user","content":"Hi, I have some ingredients and I want to cook something. Can you help me find a recipe?"},{"role":"assistant","content":"Of course! I can help you with that. Please tell me what ingredients you have."},{"role":"user","content":"I have chicken, bell peppers, and rice."},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"search_recipes","arguments":{"ingredients":["chicken","bell peppers","rice"]}}}]},{"role":"tool","content":"{\"recipes\":)",
       300},
      {"llama-factory-demos/glaive_toolcall_zh_demo.json",
       R"({"messages":[{"role":"user","content":"我需要为John Doe生成一张发票。他购买了2个苹果，每个$1，以及3根香蕉，每根$0.5。"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"generate_invoice",)",
       300},
      {"llama-factory-demos/dpo_en_demo.json", dpo_en.c_str(), 300},
      {"llama-factory-demos/dpo_zh_demo.json",
       R"({"prompt":[{"role":"user","content":"国会的转发\n美国国会由众议院和参议院组成，)", 300},
      {"llama-factory-demos/kto_en_demo.json",
       R"({"prompt":[{"role":"user","content":"The Federal Trade Commission is going after spyware,)", 300},
      {"seed-tasks/seed_tasks_en.jsonl",
       R"({"messages":[{"role":"user","content":"Is there anything I can eat for a breakfast that doesn't include eggs, yet includes protein, and has roughly 700-1000 calories?"},{"role":"assistant","content":"Yes, you can have 1 oatmeal banana protein shake)",
       175},
      {"seed-tasks/seed_tasks_zh.jsonl",
       R"({"messages":[{"role":"user","content":"请以下面词语为主题写一首诗\n夏天"},{"role":"assistant","content":"不但春妍夏亦佳，随缘花草是生涯。\n鹿葱解插纤长柄，金凤仍开最小花。"}],"id":"seed_task_8",)",
       175},
      {"hh-rlhf-harmless-base/test.jsonl.gz",
       R"({"prompt":[{"role":"user","content":"what are some pranks with a pen i can do?"},{"role":"assistant","content":"Are you looking for practical joke ideas?"},{"role":"user","content":"yep"},)",
       2312},
      {"gsm8k/test.jsonl", R"({"messages":[{"role":"user","content":"Janet’s ducks lay 16 eggs per day.)",
       1319},
  };
  for (const RealSet& set : sets) {
    SCOPED_TRACE(set.file);
    RowReader reader = RowReader::open(folder / set.file).value();
    size_t rows = 0;
    while (true) {
      const auto row = reader.next();
      ASSERT_TRUE(row) << row.error().to_string();
      if (!*row) break;
      if (rows++ > 0) continue;
      EXPECT_TRUE(dump_json(**row).starts_with(set.begins)) << dump_json(**row).substr(0, 900);
    }
    EXPECT_EQ(rows, set.rows);
  }
}

TEST(RowLayout, WhatTheRealRowsHoldIsAllThere) {
  VOLANT_DATA_OR_SKIP(folder, "datasets");
  RowReader tools = RowReader::open(folder / "llama-factory-demos/glaive_toolcall_en_demo.json").value();
  size_t calls = 0, results = 0, functions = 0;
  while (const auto row = tools.next().value()) {
    if (const Json* list = json_find(*row, "tools")) functions += list->get_array().size();
    for (const Json& message : row->at("messages").get_array()) {
      calls += json_find(message, "tool_calls") != nullptr;
      results += message.at("role") == "tool";
    }
  }
  EXPECT_EQ(calls, 211U);
  EXPECT_EQ(results, 211U);
  EXPECT_EQ(functions, 219U);
  RowReader judged = RowReader::open(folder / "llama-factory-demos/kto_en_demo.json").value();
  size_t good = 0;
  while (const auto row = judged.next().value()) good += row->at("label").get_bool();
  EXPECT_EQ(good, 150U);
}

}  // namespace
}  // namespace volant
