// What a candidate of `volant improve` learns from, in a workspace of predictions.
#include "wheel/improver.h"

#include <gtest/gtest.h>

#include "io/jsonl.h"
#include "support/scratch_dir.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

constexpr const char* kConfig = R"(
[workspace]
name = "small"
[task]
kind = "text"
[data]
train = ["rows.csv"]
label = "answer"
[train]
batch_size = 50
[improve]
steps = 10
replay_share = 0.8
)";
constexpr int64_t kExamples = 500, kOld = 900;  // of the first attempt; learned before

CuratedSet corrections(int n) {
  CuratedSet set;
  for (int i = 0; i < n; ++i) {
    CuratedRow row;
    row.messages = {JsonObject{{"role", "input"}, {"content", fmt::format(R"({{"text":"wrong {}"}})", i)}},
                    JsonObject{{"role", "assistant"}, {"content", "yes"}}};
    row.digest = std::string(64, 'a');
    set.train.push_back(std::move(row));
  }
  return set;
}

class ImproverRows : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_file_atomic(scratch_.path() / "volant.toml", kConfig));
    JsonlWriter writer = JsonlWriter::create(scratch_.path() / kTrainRows).value();
    for (int i = 0; i < kOld; ++i)
      ASSERT_TRUE(writer.write(JsonObject{{"id", std::to_string(i)},
                                          {"input", JsonObject{{"text", fmt::format("old {}", i)}}},
                                          {"label", "no"}}));
    ASSERT_TRUE(writer.finish());
    workspace_ = Workspace::open(scratch_.path()).value();
  }
  ImproveRows written(int n_corrections, int attempt) {
    const Path file = scratch_.path() / "mixed.jsonl";
    const ImproveRows rows = make_improver(*workspace_)
                                 ->write_rows(corrections(n_corrections), {}, scratch_.path(), attempt, file)
                                 .value();
    int64_t n_corrected = 0;
    const std::vector<Json> mixed = read_jsonl(file).value();
    for (const Json& row : mixed) n_corrected += row.at("label").as_string() == "yes" ? 1 : 0;
    EXPECT_EQ(n_corrected, rows.correction_rows);
    return rows;
  }

  testing::ScratchDir scratch_;
  std::unique_ptr<Workspace> workspace_;
};

TEST_F(ImproverRows, OneCorrectionStandsTwiceInAStepAndOldRowsFillTheRest) {
  const ImproveRows rows = written(1, 1);
  EXPECT_EQ(rows.correction_rows, 2 * 10);
  EXPECT_EQ(rows.replay_rows, kExamples - 2 * 10);
}

TEST_F(ImproverRows, AFurtherAttemptHasTwiceTheStepsAndTwiceTheCopiesInEach) {
  const ImproveRows rows = written(1, 2);
  EXPECT_EQ(rows.correction_rows, 4 * 20);
  EXPECT_EQ(rows.replay_rows, kOld);  // 920 were wanted
}

TEST_F(ImproverRows, ManyCorrectionsTakeTheShareThatReplayLeaves) {
  const ImproveRows rows = written(50, 1);
  EXPECT_EQ(rows.correction_rows, kExamples / 5);
  EXPECT_EQ(rows.replay_rows, kExamples * 4 / 5);
}

}  // namespace
}  // namespace volant::predict
