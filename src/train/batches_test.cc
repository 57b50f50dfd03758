#include "train/batches.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

namespace volant {
namespace {

// Document i holds the ids 1000 * i + 0, 1, 2, ...
class FakeDocuments final : public Examples {
 public:
  FakeDocuments(std::vector<int> lengths, bool may_cut) : lengths_(std::move(lengths)), may_cut_(may_cut) {}
  uint64_t size() const override { return lengths_.size(); }
  Example get(uint64_t index) const override {
    Example example;
    for (int i = 0; i < lengths_[index]; ++i) example.ids.push_back(static_cast<int32_t>(1000 * index) + i);
    if (!may_cut_) {  // the second half is the answer
      example.weights.assign(example.ids.size(), 0.0F);
      for (size_t i = example.ids.size() / 2; i < example.ids.size(); ++i) example.weights[i] = 2;
    }
    return example;
  }
  bool may_cut() const override { return may_cut_; }
  uint64_t n_targets() const override { return 1; }

 private:
  std::vector<int> lengths_;
  bool may_cut_;
};

void expect_well_formed(const TrainBatch& batch) {
  ASSERT_EQ(batch.tokens.size(), batch.pos.size());
  ASSERT_EQ(batch.targets.size(), batch.out_rows.size());
  ASSERT_EQ(batch.weights.size(), batch.out_rows.size());
  ASSERT_EQ(batch.seq_begin.front(), 0);
  ASSERT_EQ(batch.seq_begin.back(), static_cast<int32_t>(batch.tokens.size()));
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s)
    for (int32_t row = batch.seq_begin[s]; row < batch.seq_begin[s + 1]; ++row)
      ASSERT_EQ(batch.pos[static_cast<size_t>(row)], row - batch.seq_begin[s]);
  for (size_t i = 0; i < batch.out_rows.size(); ++i)
    ASSERT_EQ(batch.targets[i], batch.tokens[static_cast<size_t>(batch.out_rows[i])] + 1);
}

TEST(Batches, DocumentsFillEveryBatchAndEachIdIsPredictedOnceAnEpoch) {
  const FakeDocuments documents({40, 3, 200, 1, 77, 2, 9}, true);
  Batches batches(documents, {.max_seq_len = 32, .tokens = 64, .shuffle = true, .seed = 3});
  std::map<int32_t, int> predicted;
  while (batches.cursor().epoch == 0) {
    const TrainBatch batch = batches.next();
    expect_well_formed(batch);
    EXPECT_EQ(batch.n_real, 64);
    EXPECT_EQ(batch.tokens.size(), 64U);
    for (const int32_t id : batch.targets) ++predicted[id];
  }
  for (const auto& [document, length] : {std::pair{0, 40}, {1, 3}, {2, 200}, {4, 77}, {5, 2}, {6, 9}})
    for (int i = 1; i < length; ++i) EXPECT_GE(predicted[1000 * document + i], 1) << document << " " << i;
  int twice = 0;  // only what the last batch already took from the next epoch
  for (const auto& [id, count] : predicted) twice += count - 1;
  EXPECT_LT(twice, 64);
}

TEST(Batches, OrderDependsOnSeedAndEpochAlone) {
  const FakeDocuments documents(std::vector<int>(50, 11), true);
  const BatchOptions options{.max_seq_len = 10, .tokens = 50, .shuffle = true, .seed = 3};
  Batches a(documents, options), b(documents, options);
  BatchOptions other = options;
  other.seed = 4;
  Batches c(documents, other);
  std::vector<int32_t> first_epoch, second_epoch, other_seed;
  for (int i = 0; i < 10; ++i) {
    const TrainBatch batch = a.next();
    EXPECT_EQ(batch.tokens, b.next().tokens);
    first_epoch.insert(first_epoch.end(), batch.tokens.begin(), batch.tokens.end());
    const TrainBatch different = c.next();
    other_seed.insert(other_seed.end(), different.tokens.begin(), different.tokens.end());
  }
  for (int i = 0; i < 10; ++i) {
    const TrainBatch batch = a.next();
    second_epoch.insert(second_epoch.end(), batch.tokens.begin(), batch.tokens.end());
  }
  EXPECT_NE(first_epoch, second_epoch);
  EXPECT_NE(first_epoch, other_seed);
}

TEST(Batches, GoOnFromACursorExactly) {
  for (const bool may_cut : {true, false}) {
    const FakeDocuments documents({40, 3, 20, 17, 7, 22, 9}, may_cut);
    const BatchOptions options{.max_seq_len = 32, .tokens = 48, .shuffle = true, .seed = 9};
    Batches all(documents, options);
    for (int i = 0; i < 9; ++i) {
      Batches again(documents, options);
      again.seek(all.cursor());
      const TrainBatch expected = all.next(), got = again.next();
      EXPECT_EQ(got.tokens, expected.tokens);
      EXPECT_EQ(got.targets, expected.targets);
      EXPECT_EQ(again.cursor(), all.cursor());
    }
  }
}

TEST(Batches, ConversationsStayWholeAndOnlyAnswersAreLearned) {
  const FakeDocuments rows({30, 31, 32, 200}, false);
  Batches batches(rows, {.max_seq_len = 64, .tokens = 70, .shuffle = false, .seed = 1});
  const TrainBatch first = batches.next();
  expect_well_formed(first);
  EXPECT_EQ(first.n_real, 29 + 30);  // the third would not fit
  EXPECT_EQ(first.tokens.size(), 64U);
  EXPECT_EQ(first.targets.front(), 15);
  EXPECT_EQ(first.targets.size(), 15U + 16U);
  EXPECT_DOUBLE_EQ(first.weight(), 2.0 * 31);
  EXPECT_EQ(batches.next().n_real, 31);
  const TrainBatch cut = batches.next();
  EXPECT_EQ(cut.n_real, 64);  // longer than max_seq_len: its beginning
  EXPECT_TRUE(cut.targets.empty());
  EXPECT_EQ(batches.next().n_real, 0);
}

TEST(Batches, ABatchOfConversationsEndsWithTheEpoch) {
  const FakeDocuments rows({10, 10}, false);
  Batches batches(rows, {.max_seq_len = 64, .tokens = 4096, .shuffle = true, .seed = 1});
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    EXPECT_EQ(batches.next().n_real, 18);
    EXPECT_EQ(batches.cursor().epoch, epoch);
  }
}

// Every sequence with what is learned of it, as text.
std::vector<std::string> sequences_of(const std::vector<TrainBatch>& parts) {
  std::vector<std::string> all;
  for (const TrainBatch& part : parts) {
    expect_well_formed(part);
    for (size_t s = 0; s + 1 < part.seq_begin.size() && part.seq_begin[s] < part.n_real; ++s) {
      std::string& text = all.emplace_back();
      for (int32_t row = part.seq_begin[s]; row < part.seq_begin[s + 1]; ++row) {
        text +=
            fmt::format(" {}@{}", part.tokens[static_cast<size_t>(row)], part.pos[static_cast<size_t>(row)]);
        for (size_t i = 0; i < part.out_rows.size(); ++i)
          if (part.out_rows[i] == row) text += fmt::format(">{}*{}", part.targets[i], part.weights[i]);
      }
    }
  }
  return all;
}

TEST(ShareOf, EverySequenceHasOneRankAndRanksHaveAboutTheSame) {
  for (const bool may_cut : {true, false}) {
    const FakeDocuments documents({9, 30, 4, 17, 8, 25, 12, 6, 40, 3, 21}, may_cut);
    Batches batches(documents, {20, 48, true, 3});
    std::vector<TrainBatch> parts;
    for (int i = 0; i < 3; ++i) parts.push_back(batches.next());
    int64_t total = 0;
    for (const TrainBatch& part : parts) total += part.n_real;
    const std::vector<std::string> whole = sequences_of(parts);
    for (const int size : {1, 2, 3, 4, 7, 40}) {
      std::vector<std::string> joined;
      for (int rank = 0; rank < size; ++rank) {
        const std::vector<TrainBatch> share = share_of(parts, rank, size);
        int64_t rows = 0;
        for (const TrainBatch& part : share) rows += part.n_real;
        EXPECT_LE(rows, total / size + 40) << rank << " of " << size;
        EXPECT_TRUE(rows > 0 || size > 4) << rank << " of " << size;
        std::ranges::copy(sequences_of(share), std::back_inserter(joined));
      }
      EXPECT_EQ(joined, whole) << size << " ranks, in the order of one";
    }
  }
}

}  // namespace
}  // namespace volant
