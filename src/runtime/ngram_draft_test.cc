#include "runtime/ngram_draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(NgramDraft, GuessesWhatFollowedTheLastTokensBefore) {
  NgramDraft draft;
  EXPECT_THAT(draft.guess(std::vector<int32_t>{1, 2}, 8), IsEmpty());
  EXPECT_THAT(draft.guess(std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 1, 2, 3}, 8), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(draft.guess(std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 9}, 8), IsEmpty());
  // The last time counts, and no more than what was asked for.
  EXPECT_THAT(draft.guess(std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 9, 8, 1, 2, 3}, 2),
              ElementsAre(9, 8));
}

TEST(NgramDraft, ATextThatRepeatsItselfGoesOnBeyondItsEnd) {
  NgramDraft draft;
  EXPECT_THAT(draft.guess(std::vector<int32_t>{5, 6, 5, 6, 5}, 8), ElementsAre(6, 5, 6, 5));
}

TEST(NgramDraft, GuessesMoreWhenRightAndPausesLongerAndLongerWhenWrong) {
  NgramDraft draft;
  const std::vector<int32_t> same(40, 7);
  EXPECT_THAT(draft.guess(same, 100), SizeIs(4));
  draft.learn(4, 4);
  EXPECT_THAT(draft.guess(same, 100), SizeIs(8));
  draft.learn(8, 8);
  draft.learn(16, 16);
  draft.learn(24, 24);
  EXPECT_THAT(draft.guess(same, 100), SizeIs(24));
  draft.learn(24, 2);
  EXPECT_THAT(draft.guess(same, 100), SizeIs(3));
  for (const int pause : {1, 2, 4}) {
    draft.learn(3, 0);
    for (int i = 0; i < pause; ++i) EXPECT_THAT(draft.guess(same, 100), IsEmpty()) << pause;
    EXPECT_THAT(draft.guess(same, 100), SizeIs(1));
  }
  draft.learn(0, 0);
  EXPECT_THAT(draft.guess(same, 100), SizeIs(1));
}

}  // namespace
}  // namespace volant
