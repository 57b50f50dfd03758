// Chunks of streamed answers, byte for byte.
#include "server/openai_response.h"

#include <gtest/gtest.h>

#include "support/test_data.h"

namespace volant {
namespace {

// Parses "data: {...}\n\n".
Json parsed(const std::string& chunk) {
  EXPECT_TRUE(chunk.starts_with("data: ") && chunk.ends_with("}\n\n")) << chunk;
  return parse_json(chunk.substr(6)).value();
}

TEST(ChunkWriterTest, TextChunksAreTheObjectsOfTheApiWhateverTheTextHolds) {
  VOLANT_DATA_OR_SKIP(path, "models/stories260K");
  const auto tokenizer = load_tokenizer(path).value();
  for (const std::string text :
       {"plain", "\"quoted\" \\ {}", "line\nnext\ttab \x01 \x7f", "\u00e9\u4e2d \U0001F600"}) {
    for (const bool chat : {false, true}) {
      for (const bool with_usage : {false, true}) {
        const ChunkWriter writer(
            {.id = "x-1", .model = "a \"model\"", .fingerprint = "fp", .created = 5, .chat = chat},
            *tokenizer, false, with_usage);
        JsonObject choice{{"index", 3}};
        if (chat)
          choice["delta"] = JsonObject{{"content", text}};
        else
          choice["text"] = text;
        choice["logprobs"] = nullptr;
        choice["finish_reason"] = nullptr;
        JsonObject expected{{"id", "x-1"},
                            {"object", chat ? "chat.completion.chunk" : "text_completion"},
                            {"created", 5},
                            {"model", "a \"model\""},
                            {"system_fingerprint", "fp"},
                            {"choices", JsonArray{choice}}};
        if (with_usage) expected["usage"] = nullptr;
        const std::string chunk = writer.text(3, {.text = text, .logprob = {}, .top = {}}, 0);
        EXPECT_EQ(parsed(chunk), Json(expected)) << chunk;
        EXPECT_EQ(chunk, "data: " + dump_json(expected) + "\n\n");
      }
    }
  }
}

TEST(ChunkWriterTest, AnEventWithoutTextMakesNoChunk) {
  VOLANT_DATA_OR_SKIP(path, "models/stories260K");
  const auto tokenizer = load_tokenizer(path).value();
  const ChunkWriter writer({}, *tokenizer, false, true);
  EXPECT_EQ(writer.text(0, {.text = {}, .logprob = {}, .top = {}}, 0), "");
}

}  // namespace
}  // namespace volant
