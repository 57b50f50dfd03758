#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "io/file.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "text/encoding.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace volant {
namespace {

// The template run on variables alone.
std::string render(const std::string& source, const std::string& variables = "{}",
                   const std::string& messages = "[]") {
  const auto parsed = ChatTemplate::parse(source);
  if (!parsed) return "ERROR " + parsed.error().message;
  const auto text =
      parsed->render(parse_json(messages)->as_array(), true, parse_json(variables)->as_object());
  return text ? *text : "ERROR " + text.error().message;
}

void expect_golden(const Path& model, const Path& cases) {
  const auto config = load_tokenizer_config(model);
  ASSERT_TRUE(config) << config.error().to_string();
  const auto source = load_chat_template(model);
  ASSERT_TRUE(source && *source);
  const auto chat = ChatTemplate::parse(**source);
  ASSERT_TRUE(chat) << chat.error().to_string();
  const auto tokenizer = load_tokenizer(model);
  ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
  const auto json = parse_json(*read_file(cases));
  size_t n = 0;
  for (const Json& row : json->at("cases").as_array()) {
    SCOPED_TRACE(std::string(row.at("name").as_string()));
    JsonObject variables;
    for (const auto& [name, value] :
         {std::pair{"bos_token", config->bos}, {"eos_token", config->eos}, {"pad_token", config->pad}})
      if (value) variables[name] = *value;
    for (const char* key : {"tools", "documents", "enable_thinking"})
      if (const Json* value = json_find(row, key)) variables[key] = *value;
    const Json* prompt = json_find(row, "add_generation_prompt");
    const auto text =
        chat->render(row.at("messages").as_array(), prompt != nullptr && prompt->as_bool(), variables);
    ASSERT_TRUE(text) << text.error().to_string();
    EXPECT_EQ(*text, row.at("text").as_string());
    std::vector<int32_t> ids;
    for (const Json& id : row.at("ids").as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
    EXPECT_EQ((*tokenizer)->encode(*text, {false, true}), ids);
    ++n;
  }
  EXPECT_GE(n, 5U);
}

TEST(ChatTemplateGolden, Minimind) {
  VOLANT_DATA_OR_SKIP(model, "models/minimind2-small");
  VOLANT_DATA_OR_SKIP(cases, "golden/minimind2-small/chat_template.json");
  expect_golden(model, cases);
}
TEST(ChatTemplateGolden, Qwen) {
  VOLANT_DATA_OR_SKIP(model, "tokenizers/qwen2.5");
  VOLANT_DATA_OR_SKIP(cases, "tokenizers/qwen2.5/chat_template.json");
  expect_golden(model, cases);
}
TEST(ChatTemplateGolden, Llama3) {
  VOLANT_DATA_OR_SKIP(model, "tokenizers/llama-3");
  VOLANT_DATA_OR_SKIP(cases, "tokenizers/llama-3/chat_template.json");
  expect_golden(model, cases);
}

TEST(ChatTemplate, TrimsBlanksAroundBlocksAsTransformersDoes) {
  EXPECT_EQ(render("a\n  {% if true %}\nb\n  {% endif %}\nc"), "a\nb\nc");
  EXPECT_EQ(render("a  {{- 1 -}}  b"), "a1b");
  EXPECT_EQ(render("a {{ 1 }}\nb\n"), "a 1\nb");
  EXPECT_EQ(render("x {% if true %} y {% endif %} z"), "x  y  z");
  EXPECT_EQ(render("  {%+ if true %}y{% endif +%}\nz"), "  y\nz");
  EXPECT_EQ(render("a\n{# note #}\nb"), "a\nb");
  EXPECT_EQ(render("{% raw %}{{ x }}{% endraw %}"), "{{ x }}");
}

TEST(ChatTemplate, LoopsKnowTheirPlace) {
  EXPECT_EQ(render("{% for x in [5,6,7] %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last "
                   "}};{% endfor %}"),
            "1/3TrueFalse;2/3FalseFalse;3/3FalseTrue;");
  EXPECT_EQ(render("{% for x in [] %}a{% else %}none{% endfor %}"), "none");
  EXPECT_EQ(render("{% for x in range(10) if x is odd %}{{ x }}{{ loop.revindex0 }} {% endfor %}"),
            "14 33 52 71 90 ");
  EXPECT_EQ(render("{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }} {% endfor %}"), "a=1 b=2 ");
  EXPECT_EQ(render("{% for x in 'ab' %}{{ loop.cycle('odd', 'even') }} {% endfor %}"), "odd even ");
  EXPECT_EQ(render("{% for x in [1,2,3,4] %}{% if x == 3 %}{% break %}{% endif %}{% if x == 1 %}{% continue "
                   "%}{% endif %}{{ x }}{% endfor %}"),
            "2");
}

TEST(ChatTemplate, NamesSetInsideALoopStayInside) {
  EXPECT_EQ(render("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}"), "1");
  EXPECT_EQ(render("{% set ns = namespace(x=1) %}{% for i in [1] %}{% set ns.x = 2 %}{% endfor %}{{ ns.x }}"),
            "2");
  EXPECT_EQ(render("{% if true %}{% set x = 3 %}{% endif %}{{ x }}"), "3");
  EXPECT_EQ(render("{% set a, b = 1, 2 %}{{ a + b }}"), "3");
  EXPECT_EQ(render("{% set text %}hi {{ 1 }}{% endset %}{{ text | upper }}"), "HI 1");
}

TEST(ChatTemplate, MacrosTakeArgumentsAndDefaults) {
  EXPECT_EQ(render("{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(3, b=4) }}"),
            "1-2 3-4");
  EXPECT_EQ(render("{% set g = 7 %}{% macro m() %}{{ g }}{% endmacro %}{% for x in [1] %}{% set h = 1 %}{{ "
                   "m() }}{% endfor %}"),
            "7");
  EXPECT_EQ(render("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{% endcall %}"), "[in]");
}

TEST(ChatTemplate, OperatorsHavePythonsMeaning) {
  EXPECT_EQ(render("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 }}"), "3 -4 2 3.5 8");
  EXPECT_EQ(render("{{ 1 < 2 < 3 }} {{ 'a' in 'cat' }} {{ 2 not in [1] }} {{ not 0 and 1 }}"),
            "True True True 1");
  EXPECT_EQ(render("{{ 'a' ~ 1 ~ none }} {{ 'x' * 3 }} {{ [1] + [2] }}"), "a1None xxx [1, 2]");
  EXPECT_EQ(render("{{ [1,2,3,4][1:3] }} {{ 'abc'[::-1] }} {{ [1,2,3][-1] }} {{ '你好吗'[1:] }}"),
            "[2, 3] cba 3 好吗");
  EXPECT_EQ(render("{{ 'yes' if x is defined else 'no' }} {{ 1.0 }} {{ 1e20 }} {{ {'a': 'b'} }}"),
            "no 1.0 1e+20 {'a': 'b'}");
  EXPECT_EQ(render("{{ x is string }} {{ 3 is divisibleby 3 }} {{ none is none }} {{ {} is mapping }}"),
            "False True True True");
}

TEST(ChatTemplate, FiltersAndMethods) {
  EXPECT_EQ(render("{{ '  a ' | trim }}|{{ [1, 'b'] | join('-') }}|{{ 'aXb' | replace('X', '+') }}"),
            "a|1-b|a+b");
  EXPECT_EQ(render("{{ x | default('d') }} {{ '' | default('e', true) }} {{ [3,1,2] | sort | join }}"),
            "d e 123");
  EXPECT_EQ(render("{{ v | tojson }}", R"({"v": {"a": [1, 2.5, null, true], "文": "\"\n<"}})"),
            R"({"a": [1, 2.5, null, true], "文": "\"\n<"})");
  EXPECT_EQ(render("{{ {'b': 1, 'a': []} | tojson(indent=2) }}"), "{\n  \"b\": 1,\n  \"a\": []\n}");
  EXPECT_EQ(render("{{ v | selectattr('r', 'equalto', 'u') | map(attribute='c') | list }}",
                   R"({"v": [{"r": "u", "c": 1}, {"r": "s", "c": 2}]})"),
            "[1]");
  EXPECT_EQ(render("{{ 'a b  c'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'xxa'.lstrip('x') }} {{ "
                   "'ab'.startswith('a') }}"),
            "['a', 'b', 'c'] ['a', 'b,c'] a True");
  EXPECT_EQ(render("{{ '</think>a</think>b'.split('</think>')[-1] }} {{ 'a-b-c'.rsplit('-', 1)[0] }}"),
            "b a-b");
  EXPECT_EQ(
      render("{{ 'hello world' | title }} {{ 'ÄB'.lower() }} {{ 'abc' | length }} {{ '你好' | length }}"),
      "Hello World äb 3 2");
  EXPECT_EQ(render("{{ 'a\nb' | indent(2) }}"), "a\n  b");
}

TEST(ChatTemplate, ErrorsNameLineAndConstruct) {
  EXPECT_EQ(render("\n\n{% include 'x' %}"), "ERROR line 3: statement 'include' is not supported");
  for (const std::string name : {"import", "from", "extends", "block", "autoescape", "do", "trans"})
    EXPECT_EQ(render("{% " + name + " 'x' %}"), "ERROR line 1: statement '" + name + "' is not supported");
  EXPECT_EQ(render("{% macro m() %}\n{{ varargs }}{% endmacro %}{{ m() }}"),
            "ERROR line 2: 'varargs' of a macro is not supported");
  EXPECT_EQ(render("{{ 'a'.swapcase() }}"), "ERROR line 1: method 'swapcase' of a text is not supported");
  EXPECT_EQ(render("{{ joiner() }}"), "ERROR line 1: 'joiner' is undefined, so it cannot be called");
  EXPECT_EQ(render("{% for a, (b, c) in x %}{% endfor %}"),
            "ERROR line 1: unpacking into names within brackets is not supported");
  EXPECT_EQ(render("\n{{ 1 | frobnicate }}"), "ERROR line 2: filter 'frobnicate' is not supported");
  EXPECT_EQ(render("{{ 1 is frob }}"), "ERROR line 1: test 'frob' is not supported");
  EXPECT_EQ(render("{% if true %}"), "ERROR line 1: expected 'endif', got the end of the template");
  EXPECT_EQ(render("{{ x.y }}"), "ERROR line 1: 'x' is undefined, so it has no 'y'");
  EXPECT_EQ(render("a\n{{ raise_exception('no system role') }}"), "ERROR line 2: no system role");
  EXPECT_EQ(render("{{ 1 + 'a' }}"), "ERROR line 1: '+' is not defined between int and str");
  EXPECT_TRUE(render("{{ (1 }}").starts_with("ERROR line 1"));
  EXPECT_TRUE(render("{{ [1 }}").starts_with("ERROR line 1"));
  EXPECT_TRUE(render("{{ 'abc }}").starts_with("ERROR line 1"));
}

TEST(ChatTemplate, LimitsStopHostileTemplates) {
  EXPECT_TRUE(render("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}")
                  .starts_with("ERROR"));
  EXPECT_TRUE(render("{{ 'aaaaaaaaaa' * 999999999 }}").starts_with("ERROR"));
  EXPECT_TRUE(
      render(
          "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}")
          .starts_with("ERROR"));
  EXPECT_TRUE(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").starts_with("ERROR"));
  EXPECT_TRUE(render("{{ " + std::string(5000, '(') + "1").starts_with("ERROR"));
  EXPECT_TRUE(render("{{ " + std::string(5000, '-') + "1 }}").starts_with("ERROR"));
  std::string sum = "{{ 1";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  EXPECT_TRUE(render(sum + " }}").starts_with("ERROR"));
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += "{% if 1 %}";
  EXPECT_TRUE(render(nested).starts_with("ERROR"));
}

TEST(ChatTemplate, ValuesThatHoldThemselvesOrNestWithoutEndAreRefused) {
  constexpr const char* kCycle = "ERROR line 1: a namespace within a namespace is not supported";
  EXPECT_EQ(render("{% set ns = namespace(n=1) %}{% set ns.n = ns %}"), kCycle);
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.n = [{'a': ns}] %}"), kCycle);
  EXPECT_EQ(render("{% set ns = namespace(n=namespace()) %}"), kCycle);
  EXPECT_EQ(render("{% set ns = namespace() %}{% set l = [ns] %}{% set ns.n = l %}"), kCycle);
  EXPECT_EQ(render("{% set ns = namespace(x=1) %}{% set l = [ns, ns.x] %}{{ l[0].x + l[1] }}"), "2");
  for (const char* grow : {"[ns.x]", "{'a': ns.x}", "(ns.x,)", "[[ns.x]] | batch(1) | list"})
    EXPECT_EQ(render(std::string("{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = ") +
                     grow + " %}{% endfor %}"),
              "ERROR line 1: a value nests too deep")
        << grow;
}

TEST(ChatTemplate, MarksWhatTheAssistantSaysForTheMask) {
  const auto chat = ChatTemplate::parse(
      "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
      "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}");
  ASSERT_TRUE(chat);
  EXPECT_TRUE(chat->marks_generation());
  EXPECT_FALSE(ChatTemplate::parse("{{ messages }}")->marks_generation());
  const auto messages = parse_json(
      R"([{"role":"user","content":"你好"},{"role":"assistant","content":"好😀"},{"role":"assistant","content":"b"}])");
  const auto got = chat->render_marked(messages->as_array(), false);
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->text, "<user>你好<assistant>好😀<assistant>b");
  EXPECT_EQ(got->generated, (std::vector<TextSpan>{{19, 21}, {32, 33}}));
  Encoding tokens;
  tokens.ids = {1, 2, 3, 4, 5};
  tokens.offsets = {{0, 19}, {19, 20}, {20, 25}, {25, 32}, {32, 33}};
  tokens.text_of = {0, 0, 0, 0, 0};
  EXPECT_EQ(tokens_within(tokens, got->generated), (std::vector<uint8_t>{0, 1, 1, 0, 1}));
}

TEST(ChatTemplate, RefusesMarksWhosePlaceIsNotKnown) {
  for (const char* source : {"{% macro m() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ m() }}",
                             "{% set t %}{% generation %}x{% endgeneration %}{% endset %}{{ t }}",
                             "{% generation %}{% generation %}x{% endgeneration %}{% endgeneration %}"}) {
    const auto chat = ChatTemplate::parse(source);
    ASSERT_TRUE(chat);
    EXPECT_TRUE(chat->marks_generation());
    EXPECT_EQ(*chat->render({}, false), "x");
    const auto marked = chat->render_marked({}, false);
    ASSERT_FALSE(marked);
    EXPECT_EQ(marked.error().code, ErrorCode::kUnsupported);
  }
}

TEST(ChatTemplate, DefaultTemplateWritesTurns) {
  const auto chat = ChatTemplate::parse(default_chat_template());
  ASSERT_TRUE(chat) << chat.error().to_string();
  const auto messages = parse_json(R"([{"role":"system","content":"S"},{"role":"user","content":"hi"}])");
  EXPECT_EQ(*chat->render(messages->as_array(), true, {{"bos_token", "<s>"}}),
            "<s><|system|>S<|end|><|user|>hi<|end|><|assistant|>");
  EXPECT_FALSE(chat->render(parse_json(R"([{"role":"tool","content":"x"}])")->as_array(), true, {}));
}

// One rule for all who read it: a file of its own, else a text, else the list's "default".
TEST(ChatTemplate, IsFoundInAFolderAsTransformersFindsIt) {
  const testing::ScratchDir scratch;
  const auto found = [&] { return load_chat_template(scratch.path()).value(); };
  EXPECT_EQ(found(), std::nullopt);
  const Path config = scratch / "tokenizer_config.json";
  ASSERT_TRUE(write_file_atomic(config, R"({"chat_template": [{"name": "tool_use", "template": "a"},
                                           {"name": "default", "template": "b"}]})"));
  EXPECT_EQ(found(), "b");
  ASSERT_TRUE(write_file_atomic(config, R"({"chat_template": "c"})"));
  EXPECT_EQ(found(), "c");
  ASSERT_TRUE(write_file_atomic(scratch / "chat_template.jinja", "d"));
  EXPECT_EQ(found(), "d");
  ASSERT_TRUE(volant::remove_all(scratch / "chat_template.jinja"));
  ASSERT_TRUE(write_file_atomic(config, "[]"));
  EXPECT_EQ(load_chat_template(scratch.path()).error().code, ErrorCode::kParse);
}

}  // namespace
}  // namespace volant
