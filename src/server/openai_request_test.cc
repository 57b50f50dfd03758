// Requests of the OpenAI API, good and bad, as a table.
#include "server/openai_request.h"

#include <gmock/gmock.h>

namespace volant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CompletionRequest good_chat(std::string_view fields) {
  const std::string text = fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"hi"}}]{}{}}})",
                                       fields.empty() ? "" : ",", fields);
  auto parsed = parse_chat_request(parse_json(text).value());
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().to_string();
  return std::move(parsed).value();
}

TEST(ChatRequestTest, HasTheDefaultsOfTheApi) {
  const CompletionRequest request = good_chat("");
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.n, 1);
  EXPECT_FALSE(request.max_tokens.has_value());
  EXPECT_EQ(request.sampling.temperature, 1);
  EXPECT_EQ(request.sampling.top_p, 1);
  EXPECT_FALSE(request.sampling.seed.has_value());
  EXPECT_EQ(request.logprobs, -1);
  EXPECT_FALSE(request.stream);
  EXPECT_TRUE(request.prompts.empty());
}

TEST(ChatRequestTest, ReadsEveryField) {
  const CompletionRequest request = good_chat(
      R"("n":2,"max_completion_tokens":7,"temperature":0,"top_p":0.5,"top_k":40,"min_p":0.1,"typical_p":0.9,"seed":-1,"stop":["a","b"],)"
      R"("presence_penalty":-2,"frequency_penalty":2,"repetition_penalty":1.1,"logit_bias":{"5":-100,"6":1.5},)"
      R"("logprobs":true,"top_logprobs":3,"stream":true,"stream_options":{"include_usage":true},"user":"u",)"
      R"("metadata":{"a":"b"},"response_format":{"type":"text"},"tools":[],"tool_choice":"none","ignore_eos":true)");
  EXPECT_EQ(request.n, 2);
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_EQ(request.sampling.temperature, 0);
  EXPECT_EQ(request.sampling.top_p, 0.5);
  EXPECT_EQ(request.sampling.top_k, 40);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.typical_p, 0.9);
  EXPECT_EQ(request.sampling.seed, UINT64_MAX);
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request.sampling.presence_penalty, -2);
  EXPECT_EQ(request.sampling.frequency_penalty, 2);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(request.sampling.logit_bias.at(5), -100);
  EXPECT_EQ(request.sampling.logit_bias.at(6), 1.5);
  EXPECT_EQ(request.logprobs, 3);
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
  EXPECT_TRUE(request.ignore_stop_ids);
}

TEST(ChatRequestTest, TakesNullForAFieldThatIsNotSet) {
  const CompletionRequest request = good_chat(
      R"("stop":null,"seed":null,"max_tokens":null,"logit_bias":null,"stream":null,"tools":null,"top_p":null)");
  EXPECT_TRUE(request.stop.empty());
  EXPECT_EQ(request.sampling.top_p, 1);
}

TEST(ChatRequestTest, JoinsPartsAndMapsDeveloperToSystem) {
  const auto parsed = parse_chat_request(
      parse_json(
          R"({"model":"m","messages":[{"role":"developer","content":"be kind"},)"
          R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"x"}]})")
          .value());
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(dump_json(parsed->messages),
            R"([{"role":"system","content":"be kind"},{"role":"user","content":"ab"}])");
}

TEST(CompletionRequestTest, TakesPromptsOfEveryKind) {
  const auto prompts = [](std::string_view prompt) {
    const auto parsed =
        parse_completion_request(parse_json(fmt::format(R"({{"model":"m","prompt":{}}})", prompt)).value());
    EXPECT_TRUE(parsed) << parsed.error().to_string();
    return parsed->prompts;
  };
  EXPECT_EQ(std::get<std::string>(prompts(R"("once")").at(0)), "once");
  EXPECT_EQ(prompts(R"(["a","b"])").size(), 2U);
  EXPECT_THAT(std::get<std::vector<int32_t>>(prompts("[1,2,3]").at(0)), ElementsAre(1, 2, 3));
  EXPECT_THAT(std::get<std::vector<int32_t>>(prompts("[[1],[4,5]]").at(1)), ElementsAre(4, 5));
  const auto parsed =
      parse_completion_request(parse_json(R"({"model":"m","prompt":"a","logprobs":2})").value());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->max_tokens, 16);
  EXPECT_EQ(parsed->logprobs, 2);
}

struct Refused {
  const char* fields;  // after "model" and "messages" or "prompt"
  const char* param;
  const char* says;
};

class RefusedChatTest : public testing::TestWithParam<Refused> {};
TEST_P(RefusedChatTest, NamesTheField) {
  const std::string text =
      fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"hi"}}],{}}})", GetParam().fields);
  const auto body = parse_json(text);
  ASSERT_TRUE(body) << text;
  const auto parsed = parse_chat_request(*body);
  ASSERT_FALSE(parsed) << text;
  EXPECT_EQ(parsed.error().where, GetParam().param);
  EXPECT_THAT(parsed.error().message, HasSubstr(GetParam().says));
  EXPECT_EQ(error_code_info(parsed.error().code).http_status, 400);
}
INSTANTIATE_TEST_SUITE_P(
    Fields, RefusedChatTest,
    testing::Values(Refused{R"("temperature":2.1)", "temperature", "from 0 to 2, got 2.1"},
                    Refused{R"("temperature":"hot")", "temperature", "to be a number, got a string"},
                    Refused{R"("temperature":-0.1)", "temperature", "from 0 to 2"},
                    Refused{R"("top_p":1.5)", "top_p", "from 0 to 1"},
                    Refused{R"("n":0)", "n", "from 1 to 16, got 0"},
                    Refused{R"("n":17)", "n", "from 1 to 16"}, Refused{R"("n":1.5)", "n", "to be an integer"},
                    Refused{R"("max_tokens":0)", "max_tokens", "from 1"},
                    Refused{R"("max_completion_tokens":-3)", "max_completion_tokens", "from 1"},
                    Refused{R"("max_tokens":1e30)", "max_tokens", "integer"},
                    Refused{R"("seed":"x")", "seed", "integer"}, Refused{R"("stop":"")", "stop", "not empty"},
                    Refused{R"("stop":["a","b","c","d","e"])", "stop", "at most 4"},
                    Refused{R"("stop":[1])", "stop", "texts"}, Refused{R"("stop":{})", "stop", "texts"},
                    Refused{R"("presence_penalty":3)", "presence_penalty", "-2 to 2"},
                    Refused{R"("frequency_penalty":-3)", "frequency_penalty", "-2 to 2"},
                    Refused{R"("logit_bias":[])", "logit_bias", "object"},
                    Refused{R"("logit_bias":{"x":1})", "logit_bias", "token ids"},
                    Refused{R"("logit_bias":{"1":101})", "logit_bias", "-100 to 100"},
                    Refused{R"("logprobs":1)", "logprobs", "boolean"},
                    Refused{R"("top_logprobs":2)", "top_logprobs", "needs 'logprobs'"},
                    Refused{R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "from 0 to 20"},
                    Refused{R"("stream":"yes")", "stream", "boolean"},
                    Refused{R"("stream_options":{"include_usage":true})", "stream_options", "stream"},
                    Refused{R"("tools":[{"type":"function"}])", "tools", "tool calls"},
                    Refused{R"("tool_choice":"required")", "tool_choice", "tool calls"},
                    Refused{R"("response_format":{"type":"json_object"})", "response_format", "format"},
                    Refused{R"("modalities":["audio"])", "modalities", "text"},
                    Refused{R"("audio":{})", "audio", "audio"},
                    Refused{R"("temprature":1)", "temprature", "did you mean 'temperature'"},
                    Refused{R"("prompt":"x")", "prompt", "unknown field"}));

TEST(ChatRequestTest, RefusesBadMessages) {
  const auto refused = [](std::string_view messages) {
    const auto parsed =
        parse_chat_request(parse_json(fmt::format(R"({{"model":"m","messages":{}}})", messages)).value());
    EXPECT_FALSE(parsed) << messages;
    return parsed ? std::string() : parsed.error().where;
  };
  EXPECT_EQ(refused("[]"), "messages");
  EXPECT_EQ(refused("\"hi\""), "messages");
  EXPECT_EQ(refused("[1]"), "messages[0]");
  EXPECT_EQ(refused(R"([{"content":"x"}])"), "messages[0].role");
  EXPECT_EQ(refused(R"([{"role":"robot","content":"x"}])"), "messages[0].role");
  EXPECT_EQ(refused(R"([{"role":"user","content":"x"},{"role":"user"}])"), "messages[1].content");
  EXPECT_EQ(refused(R"([{"role":"user","content":3}])"), "messages[0].content");
  EXPECT_EQ(refused(R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])"),
            "messages[0].content");
  EXPECT_EQ(refused(R"([{"role":"tool","content":"x","tool_call_id":"1"}])"), "messages[0].role");
}

TEST(ChatRequestTest, RefusesABodyWithoutModelOrThatIsNoObject) {
  EXPECT_EQ(parse_chat_request(parse_json(R"({"messages":[]})").value()).error().where, "model");
  EXPECT_FALSE(parse_chat_request(parse_json("[]").value()));
  EXPECT_FALSE(parse_chat_request(parse_json("null").value()));
  EXPECT_FALSE(parse_completion_request(parse_json("3").value()));
}

class RefusedCompletionTest : public testing::TestWithParam<Refused> {};
TEST_P(RefusedCompletionTest, NamesTheField) {
  const auto parsed =
      parse_completion_request(parse_json(fmt::format(R"({{"model":"m",{}}})", GetParam().fields)).value());
  ASSERT_FALSE(parsed) << GetParam().fields;
  EXPECT_EQ(parsed.error().where, GetParam().param);
  EXPECT_THAT(parsed.error().message, HasSubstr(GetParam().says));
}
INSTANTIATE_TEST_SUITE_P(
    Fields, RefusedCompletionTest,
    testing::Values(Refused{R"("echo":true)", "prompt", "expected 'prompt'"},
                    Refused{R"("prompt":[])", "prompt", "not empty"},
                    Refused{R"("prompt":{})", "prompt", "not empty"},
                    Refused{R"("prompt":[1,-2])", "prompt", "token ids"},
                    Refused{R"("prompt":[1,"a"])", "prompt", "token ids"},
                    Refused{R"("prompt":[true])", "prompt", "each item"},
                    Refused{R"("prompt":["a","b","c"],"n":8)", "prompt", "at most 16"},
                    Refused{R"("prompt":"a","logprobs":6)", "logprobs", "from 0 to 5"},
                    Refused{R"("prompt":"a","logprobs":true)", "logprobs", "integer"},
                    Refused{R"("prompt":"a","logprobs":1,"echo":true)", "logprobs", "of the prompt"},
                    Refused{R"("prompt":"a","suffix":"b")", "suffix", "after the answer"},
                    Refused{R"("prompt":"a","best_of":3)", "best_of", "more answers"},
                    Refused{R"("prompt":"a","max_tokens":0)", "max_tokens", "echo"},
                    Refused{R"("prompt":"a","messages":[])", "messages", "unknown field"}));

}  // namespace
}  // namespace volant
