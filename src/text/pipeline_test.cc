// Tokenizers of every shape beside what Hugging Face tokenizers made of the same texts:
// golden/pipelines.json, by golden/make_pipelines.cjs.
#include <gtest/gtest.h>

#include <utility>

#include "base/random.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "text/pipeline_tokenizer.h"
#include "text/unicode.h"

namespace volant {
namespace {

template <class T>
std::vector<T> numbers_of(const Json& list) {
  std::vector<T> out;
  for (const Json& number : list.as_array()) out.push_back(static_cast<T>(number.as_int64()));
  return out;
}

std::vector<uint32_t> flat(const std::vector<TextSpan>& spans) {
  std::vector<uint32_t> out;
  for (const TextSpan& span : spans) {
    out.push_back(span.begin);
    out.push_back(span.end);
  }
  return out;
}

void expect_row(const Tokenizer& tokenizer, const TextPair& text, const Json& row) {
  const auto got =
      tokenizer.encode_with_offsets(text, {true, true, tokenizer.truncation(), tokenizer.padding()});
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->ids, numbers_of<int32_t>(row.at("ids")));
  EXPECT_EQ(flat(got->offsets), numbers_of<uint32_t>(row.at("offsets")));
  if (const Json* types = json_find(row, "type_ids")) {
    EXPECT_EQ(got->type_ids, numbers_of<int32_t>(*types));
  }
  if (const Json* attention = json_find(row, "attention")) {
    EXPECT_EQ(got->attention, numbers_of<uint8_t>(*attention));
  }
  const auto ids = numbers_of<int32_t>(row.at("ids"));
  EXPECT_EQ(tokenizer.decode(ids), std::string_view(row.at("decoded").as_string()));
  if (!text.pair && !tokenizer.truncation() && !tokenizer.padding()) {
    EXPECT_EQ(tokenizer.encode(text.text), ids);
  }
  StreamDecoder stream(tokenizer);
  std::string streamed;
  for (const int32_t id : ids) {
    const std::string part = stream.push(id);
    EXPECT_TRUE(is_valid_utf8(part));
    streamed += part;
  }
  streamed += stream.finish();
  EXPECT_EQ(streamed, std::string_view(row.at("decoded").as_string()));
}

void expect_pipeline(const Tokenizer& tokenizer, const Json& golden, const Json& pipeline) {
  const JsonArray& texts = golden.at("texts").as_array();
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(std::string(texts[i].as_string()));
    expect_row(tokenizer, {std::string_view(texts[i].as_string()), {}}, pipeline.at("cases").at(i));
  }
  const JsonArray& pairs = golden.at("pairs").as_array();
  for (size_t i = 0; i < pairs.size(); ++i) {
    SCOPED_TRACE("pair " + std::to_string(i));
    expect_row(tokenizer,
               {std::string_view(pairs[i].at(0).as_string()), std::string_view(pairs[i].at(1).as_string())},
               pipeline.at("pairs").at(i));
  }
}

TEST(Pipeline, GivesTheIdsAndOffsetsOfHuggingFaceTokenizers) {
  const auto golden = parse_json(*read_file(testing::source_dir() / "src/text/golden/pipelines.json"));
  ASSERT_TRUE(golden) << golden.error().to_string();
  size_t n = 0;
  for (const Json& pipeline : golden->at("pipelines").as_array()) {
    SCOPED_TRACE(std::string(pipeline.at("name").as_string()));
    const auto tokenizer = make_pipeline_tokenizer(pipeline.at("tokenizer"), {});
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    expect_pipeline(**tokenizer, *golden, pipeline);
    const testing::ScratchDir scratch;
    ASSERT_TRUE((*tokenizer)->save(scratch.path()));
    const auto saved = parse_json(*read_file(scratch / "tokenizer.json"));
    const auto again = make_pipeline_tokenizer(*saved, {});
    ASSERT_TRUE(again) << again.error().to_string();
    expect_pipeline(**again, *golden, pipeline);
    ASSERT_TRUE(write_gguf(scratch / "v.gguf", (*tokenizer)->gguf_fields(), {}));
    const auto file = GgufFile::open(scratch / "v.gguf");
    ASSERT_TRUE(file);
    const auto third = load_tokenizer(*file);
    ASSERT_TRUE(third) << third.error().to_string();
    expect_pipeline(**third, *golden, pipeline);
    ++n;
  }
  EXPECT_GE(n, 26U);
}

// Random ids, whatever text they are: every part that is shown is UTF-8, and together they are the bytes of
// the tokens.
void expect_whole_characters(const Tokenizer& tokenizer, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < 200; ++round) {
    StreamDecoder stream(tokenizer);
    std::string bytes, shown;
    bool begins = true;  // no token with bytes yet
    for (uint64_t n = random.below(20); n > 0; --n) {
      const auto id = static_cast<int32_t>(random.below(static_cast<uint64_t>(tokenizer.n_vocab())));
      std::string more = tokenizer.token_bytes(id);
      const bool is_first = !more.empty() && std::exchange(begins, begins && more.empty());
      if (is_first && tokenizer.drops_first_blank() && more.starts_with(' ')) more.erase(0, 1);
      bytes += more;
      const std::string part = stream.push(id);
      ASSERT_TRUE(is_valid_utf8(part)) << id;
      shown += part;
    }
    ASSERT_EQ(shown + stream.finish(), to_valid_utf8(bytes));
  }
}

TEST(StreamDecoder, NeverCutsACharacterWhateverTheKindAndTheIds) {
  const auto golden = parse_json(*read_file(testing::source_dir() / "src/text/golden/pipelines.json"));
  for (const Json& pipeline : golden->at("pipelines").as_array()) {
    SCOPED_TRACE(std::string(pipeline.at("name").as_string()));
    expect_whole_characters(**make_pipeline_tokenizer(pipeline.at("tokenizer"), {}), 3);
  }
}

TEST(StreamDecoder, NeverCutsACharacterOfRealVocabularies) {
  for (const char* name : {"tokenizers/gpt2", "tokenizers/qwen2.5", "tokenizers/bert-base-chinese",
                           "tokenizers/tiktoken/o200k_base.tiktoken", "models/stories15M",
                           "models/stories260K", "models/minimind2-small"}) {
    VOLANT_DATA_OR_SKIP(path, name);
    const auto tokenizer = open_tokenizer(path);
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    expect_whole_characters(**tokenizer, 5);
  }
}

}  // namespace
}  // namespace volant
