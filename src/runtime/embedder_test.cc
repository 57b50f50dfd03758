// The embedder against the golden vectors of MiniLM, and what it refuses.
#include "runtime/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/value_to.hpp>
#include <cmath>

#include "runtime/engine.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

struct Golden {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::vector<double>> vectors, cosines;
};

Golden read_golden(const Path& path) {
  Golden golden;
  const Json json = parse_json(read_file(path).value()).value();
  for (const Json& test : json.at("cases").as_array()) {
    golden.texts.emplace_back(test.at("text").as_string());
    golden.ids.push_back(boost::json::value_to<std::vector<int32_t>>(test.at("ids")));
    golden.vectors.push_back(boost::json::value_to<std::vector<double>>(test.at("embedding")));
  }
  golden.cosines = boost::json::value_to<std::vector<std::vector<double>>>(json.at("cosines"));
  return golden;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

TEST(Embedder, GivesTheGoldenVectorsAndCosinesOfMiniLm) {
  VOLANT_DATA_OR_SKIP(model, "models/all-MiniLM-L6-v2");
  const Golden golden = read_golden(*model_root / "golden/all-MiniLM-L6-v2/embeddings.json");
  const auto embedder = Embedder::open(model, {.n_threads = 2}).value();
  EXPECT_EQ(embedder->n_dims(), 384);
  EXPECT_EQ(embedder->max_tokens(), 256);
  EXPECT_EQ(embedder->pooling(), Pooling::kMean);
  EXPECT_TRUE(embedder->normalizes());
  const std::vector<Embedding> got = embedder->embed_ids(golden.ids).value();
  ASSERT_EQ(got.size(), 14U);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].n_tokens, static_cast<int64_t>(golden.ids[i].size()));
    EXPECT_FALSE(got[i].truncated);
    for (size_t d = 0; d < 384; ++d)
      ASSERT_NEAR(got[i].vector[d], golden.vectors[i][d], 1e-5) << "text " << i << " number " << d;
    for (size_t j = 0; j < got.size(); ++j)
      EXPECT_NEAR(dot(got[i].vector, got[j].vector), golden.cosines[i][j], 2e-5);
  }
}

TEST(Embedder, TextsGiveTheVectorsOfTheirIds) {
  VOLANT_DATA_OR_SKIP(model, "models/all-MiniLM-L6-v2");
  const Golden golden = read_golden(*model_root / "golden/all-MiniLM-L6-v2/embeddings.json");
  const auto embedder = Embedder::open(model, {.n_threads = 2}).value();
  const std::vector<Embedding> by_text = embedder->embed(golden.texts).value(),
                               by_ids = embedder->embed_ids(golden.ids).value();
  for (size_t i = 0; i < by_text.size(); ++i) {
    EXPECT_EQ(embedder->encode(golden.texts[i]).value(), golden.ids[i]);
    EXPECT_EQ(by_text[i].vector, by_ids[i].vector);
  }
}

TEST(Embedder, ATextGivesTheSameBitsAloneAndBesideOthers) {
  VOLANT_DATA_OR_SKIP(model, "models/all-MiniLM-L6-v2");
  const auto embedder = Embedder::open(model, {.n_threads = 2}).value();
  std::vector<std::vector<int32_t>> ids;
  for (int32_t n = 1; n <= 300; n += 23) ids.emplace_back(static_cast<size_t>(n), 2000 + n);
  const std::vector<Embedding> together = embedder->embed_ids(ids).value();
  for (size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(embedder->embed_ids(std::span(&ids[i], 1)).value()[0].vector, together[i].vector) << i;
}

TEST(Embedder, LongTextsAreCutKeepTheirEndMarkAndSaySo) {
  VOLANT_DATA_OR_SKIP(model, "models/all-MiniLM-L6-v2");
  const auto embedder = Embedder::open(model, {.n_threads = 2, .max_tokens = 6}).value();
  const std::vector<std::vector<int32_t>> ids = {{101, 7592, 2088, 2003, 2307, 1998, 2502, 102},
                                                 {101, 7592, 2088, 2003, 2307, 102}};
  const std::vector<Embedding> got = embedder->embed_ids(ids).value();
  EXPECT_TRUE(got[0].truncated);
  EXPECT_EQ(got[0].n_tokens, 6);
  EXPECT_FALSE(got[1].truncated);
  EXPECT_EQ(got[0].vector, got[1].vector);
}

TEST(Embedder, BadIdsAndBadLimitsAreErrors) {
  VOLANT_DATA_OR_SKIP(model, "models/all-MiniLM-L6-v2");
  const auto embedder = Embedder::open(model, {.n_threads = 1}).value();
  const std::vector<std::vector<int32_t>> cases = {{}, {-1}, {30522}};
  for (const auto& ids : cases)
    EXPECT_EQ(embedder->embed_ids(std::span(&ids, 1)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Embedder::open(model, {.max_tokens = 513}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Embedder, ALanguageModelIsNoEncoderAndAnEncoderNoEngine) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto refused = Embedder::open(model);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("LlamaForCausalLM"));
  const auto engine = Engine::open(*model_root / "models/all-MiniLM-L6-v2");
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, HasSubstr("volant embed"));
}

TEST(Embedder, ModulesThatAreNotDoneAreRefusedByName) {
  VOLANT_DATA_OR_SKIP(model, "models/all-MiniLM-L6-v2");
  const auto refusal = [&](const char* file, const std::string& content) {
    const testing::ScratchDir scratch;
    for (const auto& entry : std::filesystem::directory_iterator(model))
      if (entry.path().filename() != file)
        std::filesystem::create_symlink(entry.path(), scratch / entry.path().filename());
    EXPECT_TRUE(write_file_atomic(scratch / file, content));
    const auto opened = Embedder::open(scratch.path());
    return opened ? std::string("opened") : opened.error().message;
  };
  EXPECT_THAT(refusal("modules.json", R"([{"type":"sentence_transformers.models.Dense","path":"2_Dense"}])"),
              HasSubstr("models.Dense"));
  EXPECT_THAT(refusal("config_sentence_transformers.json",
                      R"({"prompts":{"query":"q: "},"default_prompt_name":"query"})"),
              HasSubstr("default_prompt_name"));
}

}  // namespace
}  // namespace volant
