// Requests for embeddings, good and bad, as a table.
#include "server/embeddings.h"

#include <gmock/gmock.h>

namespace volant {
namespace {

using ::testing::HasSubstr;

Result<EmbeddingsRequest> parse(const std::string& text) {
  return parse_embeddings_request(parse_json(text).value());
}

TEST(EmbeddingsRequestTest, TakesTextsAndIdsInEveryShape) {
  using Texts = std::vector<std::string>;
  using Ids = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(std::get<Texts>(parse(R"({"model":"m","input":"a"})").value().input), Texts{"a"});
  EXPECT_EQ(std::get<Texts>(parse(R"({"model":"m","input":["a","b"]})").value().input), (Texts{"a", "b"}));
  EXPECT_EQ(std::get<Ids>(parse(R"({"model":"m","input":[5,6]})").value().input), (Ids{{5, 6}}));
  EXPECT_EQ(std::get<Ids>(parse(R"({"model":"m","input":[[5],[6,7]]})").value().input), (Ids{{5}, {6, 7}}));
  EXPECT_FALSE(parse(R"({"model":"m","input":"a","encoding_format":"float","user":"u"})").value().base64);
  EXPECT_TRUE(parse(R"({"model":"m","input":"a","encoding_format":"base64"})").value().base64);
}

TEST(EmbeddingsRequestTest, NamesTheFieldThatIsWrong) {
  for (const auto& [text, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"input":"a"})", "model"},
           {R"({"model":"m"})", "input"},
           {R"({"model":"m","input":[]})", "input"},
           {R"({"model":"m","input":[[]]})", "input"},
           {R"({"model":"m","input":["a",[1]]})", "input"},
           {R"({"model":"m","input":[1,"a"]})", "input"},
           {R"({"model":"m","input":[-1]})", "input"},
           {R"({"model":"m","input":{"a":1}})", "input"},
           {R"({"model":"m","input":"a","dimensions":8})", "dimensions"},
           {R"({"model":"m","input":"a","encoding_format":"int8"})", "encoding_format"},
           {R"({"model":"m","input":"a","inputs":"b"})", "inputs"}}) {
    const auto parsed = parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().where, field) << text;
  }
  EXPECT_THAT(parse(R"({"model":"m","input":"a","inputs":"b"})").error().message, HasSubstr("'input'"));
}

}  // namespace
}  // namespace volant
