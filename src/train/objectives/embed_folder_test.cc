// The folder of a trained encoder: sentence-transformers' files say how it was trained, and the embedder that
// serves it gives the vectors of that way of pooling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/embedder.h"
#include "support/test_data.h"
#include "train/small_bert.h"
#include "train/test_reference.h"
#include "train/test_run.h"

namespace volant {
namespace {

JsonObject embed_job(const Path& model, const Path& rows) {
  return {{"objective", "embed"},
          {"model", JsonObject{{"init_from", model.string()}}},
          {"data", JsonObject{{"train_rows", rows.string()}}},
          {"embed", JsonObject{{"batch_size", 4}}},
          {"max_seq_len", 24},
          {"steps", 3},
          {"lr", 1e-3},
          {"n_threads", 1}};
}

TEST(EmbedFolder, IsServedWithThePoolingThatItWasTrainedWith) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-bert");
  const testing::TrainRuns runs;
  const Path base = testing::write_small_bert(runs.folder() / "bert", tokenizer),
             rows = runs.folder() / "rows.jsonl";
  std::string text;
  for (int i = 0; i < 4; ++i)
    text += dump_json(JsonObject{{"anchor", "Tom saw " + std::to_string(i)},
                                 {"positive", "It was number " + std::to_string(i)}}) +
            "\n";
  ASSERT_TRUE(write_file_atomic(rows, text));
  const std::pair<const char*, Pooling> kWays[] = {
      {"cls", Pooling::kFirst}, {"last", Pooling::kLast}, {"mean", Pooling::kMean}};
  for (const auto& [way, pooling] : kWays) {
    SCOPED_TRACE(way);
    JsonObject job = embed_job(base, rows);
    job["embed"].as_object()["pooling"] = way;
    const Path run = runs.make(way, job);
    ASSERT_EQ(runs.finish(run).status, 0) << runs.errors(run);
    const auto embedder = Embedder::open(run / "model", {.n_threads = 1}).value();
    EXPECT_EQ(embedder->pooling(), pooling);
    EXPECT_TRUE(embedder->normalizes());
    EXPECT_EQ(embedder->max_tokens(), 24);
    const std::string asked = "Lily and the red ball";
    const auto ids = embedder->encode(asked).value();
    const auto hidden = testing::outputs_of(open_torch_model(run / "model", false).value(), ids);
    testing::Numbers expected(hidden[0].size());
    double squares = 0;
    for (size_t d = 0; d < expected.size(); ++d) {
      if (pooling == Pooling::kFirst) expected[d] = hidden.front()[d];
      if (pooling == Pooling::kLast) expected[d] = hidden.back()[d];
      if (pooling == Pooling::kMean)
        for (const testing::Numbers& row : hidden) expected[d] += row[d] / static_cast<double>(hidden.size());
      squares += expected[d] * expected[d];
    }
    const std::vector<std::string> texts{asked};
    const std::vector<float> vector = embedder->embed(texts).value()[0].vector;
    for (size_t d = 0; d < expected.size(); ++d)
      EXPECT_NEAR(vector[d], expected[d] / std::sqrt(squares), 1e-5) << d;
  }
  // A run that says nothing of pooling goes on with that of the folder it starts from.
  const Path again = runs.make("again", embed_job(runs.folder() / "last/model", rows));
  ASSERT_EQ(runs.finish(again).status, 0) << runs.errors(again);
  EXPECT_EQ(Embedder::open(again / "model", {.n_threads = 1}).value()->pooling(), Pooling::kLast);
}

}  // namespace
}  // namespace volant
