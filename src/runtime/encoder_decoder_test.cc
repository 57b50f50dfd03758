// Writing from a source: greedy ids are those of the model asked from scratch for every token, and what does
// not fit is refused.
#include "runtime/encoder_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

// A small random T5 with the vocabulary of stories260K.
void write_t5(const Path& folder, const Path& vocabulary) {
  const ModelConfig config =
      ModelConfig::from_json(Json(JsonObject{{"architectures", JsonArray{Json("T5ForConditionalGeneration")}},
                                             {"vocab_size", 512},
                                             {"d_model", 32},
                                             {"d_kv", 8},
                                             {"d_ff", 64},
                                             {"num_layers", 2},
                                             {"num_heads", 4},
                                             {"decoder_start_token_id", 0}}))
          .value();
  Random random(8);
  testing::write_random_model(folder, config, random);
  for (const auto& entry : std::filesystem::directory_iterator(vocabulary))
    if (entry.path().filename().string().starts_with("tokenizer"))
      std::filesystem::copy(entry.path(), folder / entry.path().filename());
}

GenerateRequest greedy(std::vector<int32_t> source, int max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(source);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.ignore_stop_ids = true;
  return request;
}

TEST(EncoderDecoder, GreedyIdsAreThoseOfThePassFromScratch) {
  VOLANT_DATA_OR_SKIP(vocabulary, "models/stories260K");
  const testing::ScratchDir scratch;
  write_t5(scratch.path(), vocabulary);
  const auto model = EncoderDecoder::open(scratch.path(), {.n_threads = 2, .n_ctx = 64}).value();
  const auto plain = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 2}).value();
  for (const std::vector<int32_t>& source : {std::vector<int32_t>{5, 300, 17, 42}, {9}, {5, 300, 17, 43}}) {
    const GenerateResult result = model->generate(greedy(source, 12)).value();
    std::vector<int32_t> written{0};
    for (int i = 0; i < 12; ++i) {
      testing::Pairs pair;
      pair.add(source, written);
      const auto logits = plain->logits(pair.view());
      const auto last = logits.last(512);
      written.push_back(static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
    }
    written.erase(written.begin());
    EXPECT_EQ(result.ids, written);
    EXPECT_EQ(result.finish, FinishReason::kLength);
    EXPECT_EQ(result.prompt_tokens, static_cast<int64_t>(source.size()));
  }
}

TEST(EncoderDecoder, SourcesThatDoNotFitAndOtherModelsAreRefused) {
  VOLANT_DATA_OR_SKIP(vocabulary, "models/stories260K");
  const testing::ScratchDir scratch;
  write_t5(scratch.path(), vocabulary);
  const auto model = EncoderDecoder::open(scratch.path(), {.n_threads = 1, .n_ctx = 8}).value();
  for (const std::vector<int32_t>& source : {std::vector<int32_t>(), std::vector<int32_t>(9, 1), {512}})
    EXPECT_EQ(model->generate(greedy(source, 4)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(EncoderDecoder::open(vocabulary).error().code, ErrorCode::kUnsupported);
  const auto engine = Engine::open(scratch.path());
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, HasSubstr("source"));
}

}  // namespace
}  // namespace volant
