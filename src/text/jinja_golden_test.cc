// Templates beside what Jinja2 makes of them: golden/templates.json, by golden/make_templates.py.
#include <gtest/gtest.h>

#include <set>

#include "io/file.h"
#include "support/test_data.h"
#include "text/chat_template.h"

namespace volant {
namespace {

Result<RenderedChat> run(std::string_view source, const JsonObject& variables) {
  const ChatTemplate chat = TRY(ChatTemplate::parse(source));
  JsonObject rest = variables;
  const JsonArray messages = rest.contains("messages") ? rest.at("messages").as_array() : JsonArray();
  const bool prompt = rest.contains("add_generation_prompt") && rest.at("add_generation_prompt").as_bool();
  return chat.render_marked(messages, prompt, rest);
}

void expect_result(std::string_view source, const JsonObject& variables, const Json& expected) {
  const auto got = run(source, variables);
  if (json_find(expected, "error") != nullptr) {
    EXPECT_FALSE(got) << got->text;
    if (!got) {
      EXPECT_EQ(got.error().message.find("line "), 0U) << got.error().message;
    }
    return;
  }
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->text, std::string_view(expected.at("text").as_string()));
  std::vector<TextSpan> spans;
  for (const Json& span : expected.at("spans").as_array())
    spans.push_back(
        {static_cast<uint32_t>(span.at(0).as_int64()), static_cast<uint32_t>(span.at(1).as_int64())});
  EXPECT_EQ(got->generated, spans);
}

Json golden() { return *parse_json(*read_file(testing::source_dir() / "src/text/golden/templates.json")); }

TEST(JinjaGolden, FamiliesOfChatTemplates) {
  const Json all = golden();
  size_t n = 0;
  for (const Json& family : all.at("families").as_array()) {
    SCOPED_TRACE(std::string(family.at("name").as_string()));
    for (const auto& [name, result] : family.at("results").as_object()) {
      SCOPED_TRACE(std::string(name));
      expect_result(family.at("source").as_string(), all.at("conversations").at(name).as_object(), result);
      ++n;
    }
  }
  EXPECT_GE(n, 100U);
}

TEST(JinjaGolden, Constructs) {
  const Json all = golden();
  JsonObject variables = all.at("variables").as_object();
  variables["messages"] = JsonArray();
  for (const Json& snippet : all.at("snippets").as_array()) {
    SCOPED_TRACE(std::string(snippet.at("source").as_string()));
    expect_result(snippet.at("source").as_string(), variables, snippet.at("result"));
  }
}

}  // namespace
}  // namespace volant
