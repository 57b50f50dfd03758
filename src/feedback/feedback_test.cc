#include "feedback/feedback.h"

#include <gmock/gmock.h>

#include "feedback/curation.h"
#include "feedback/screening.h"
#include "registry/answers.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using volant::testing::ScratchDir;

JsonArray ask(const std::string& question) { return {JsonObject{{"role", "user"}, {"content", question}}}; }

class FeedbackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    registry_ = Registry::open(dir_.path()).value();
    record_answer(*registry_, {"chatcmpl-1", "v1", "", ask("Capital of France?"), "London.", {}}).value();
  }
  ScratchDir dir_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(FeedbackTest, IsKeptWithTheAnswerItIsAbout) {
  const Feedback kept = add_feedback(*registry_, {"chatcmpl-1", "down", " Paris.\r\n", "wrong"}).value();
  EXPECT_EQ(kept.id, 1);
  EXPECT_EQ(kept.state, "new");
  EXPECT_EQ(kept.correction, "Paris.");
  EXPECT_EQ(kept.version, "v1");
  EXPECT_EQ(kept.answer, "London.");
  EXPECT_EQ(list_feedback(*registry_).value().size(), 1U);
  const FeedbackCounts counts = count_feedback(*registry_).value();
  EXPECT_EQ(counts.down, 1);
  EXPECT_EQ(counts.new_corrections, 1);
}

TEST_F(FeedbackTest, TheSameSaidTwiceIsKeptOnce) {
  (void)add_feedback(*registry_, {"chatcmpl-1", "", "Paris.", ""}).value();
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", "Paris. ", ""}).value().id, 1);
  EXPECT_EQ(list_feedback(*registry_).value().size(), 1U);
}

TEST_F(FeedbackTest, PersonalDataIsMaskedBeforeItIsStored) {
  const Feedback kept = add_feedback(*registry_, {"chatcmpl-1", "", "Ask bob@example.com.", ""}).value();
  EXPECT_EQ(kept.correction, "Ask <EMAIL>.");
}

TEST_F(FeedbackTest, WhatSaysNothingOrNamesNobodyIsRefused) {
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", " \n", ""}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-9", "up", "", ""}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "great", "", ""}).error().where, "rating");
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", std::string(20000, 'a'), ""}).error().code,
            ErrorCode::kLimit);
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", "\xff\xfe", ""}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(list_feedback(*registry_).value().empty());
}

TEST_F(FeedbackTest, OneAnswerTakesOnlySoMuch) {
  for (int64_t i = 0; i < kMaxFeedbackPerAnswer; ++i) {
    (void)add_feedback(*registry_, {"chatcmpl-1", "", fmt::format("correction {}", i), ""}).value();
  }
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", "one more", ""}).error().code, ErrorCode::kLimit);
}

TEST_F(FeedbackTest, SpamIsKeptButNotLearnedFrom) {
  const Feedback same = add_feedback(*registry_, {"chatcmpl-1", "", "London.", ""}).value();
  EXPECT_EQ(same.state, "rejected");
  EXPECT_THAT(same.reason, HasSubstr("the answer itself"));
  std::string links;
  for (int i = 0; i < 8; ++i) links += "see http://x.example/ ";
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", links, ""}).value().state, "rejected");
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", std::string(200, 'a'), ""}).value().state,
            "rejected");
  EXPECT_EQ(add_feedback(*registry_, {"chatcmpl-1", "", "!!! ???", ""}).value().state, "rejected");
  EXPECT_TRUE(pending_corrections(*registry_).value().empty());
}

TEST_F(FeedbackTest, UsedCorrectionsAreNotPendingAgain) {
  const Feedback kept = add_feedback(*registry_, {"chatcmpl-1", "", "Paris.", ""}).value();
  EXPECT_EQ(pending_corrections(*registry_).value().size(), 1U);
  mark_used(*registry_, {kept.id}).value();
  EXPECT_TRUE(pending_corrections(*registry_).value().empty());
  EXPECT_EQ(pending_corrections(*registry_, true).value().size(), 1U);
}

TEST(ParseFeedback, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(parse_feedback(parse_json(R"({"answer_id":"a","rating":"up"})").value()).value().rating, "up");
  const auto typo = parse_feedback(parse_json(R"({"answer_id":"a","corection":"x"})").value());
  EXPECT_THAT(typo.error().message, HasSubstr("unknown field 'corection', did you mean 'correction'?"));
  EXPECT_EQ(parse_feedback(parse_json(R"({"answer_id":7})").value()).error().where, "answer_id");
  EXPECT_FALSE(parse_feedback(parse_json("[]").value()));
}

Feedback correction(int64_t id, const std::string& question, const std::string& text) {
  Feedback feedback;
  feedback.id = id;
  feedback.messages = ask(question);
  feedback.answer = "old answer";
  feedback.correction = text;
  feedback.state = "new";
  return feedback;
}

TEST(Curation, TheLatestCorrectionOfAQuestionWinsAndCountsAsWeight) {
  const CuratedSet set =
      curate({correction(1, "q", "first"), correction(2, " q ", "second"), correction(3, "q", "third")}, 0.2)
          .value();
  ASSERT_EQ(set.train.size(), 1U);
  EXPECT_EQ(set.train[0].weight, 3);
  EXPECT_EQ(set.duplicates, 2);
  EXPECT_EQ(set.train[0].messages.back().at("content").as_string(), "third");
  EXPECT_EQ(set.feedback_ids.size(), 3U);
}

TEST(Curation, FewCorrectionsAreAllLearned) {
  EXPECT_EQ(curate({correction(1, "a", "x")}, 0.9).value().train.size(), 1U);
  const CuratedSet four = curate({correction(1, "a", "x"), correction(2, "b", "x"), correction(3, "c", "x"),
                                  correction(4, "d", "x")},
                                 0.2)
                              .value();
  EXPECT_TRUE(four.held_out.empty());
}

TEST(Curation, HoldsOutAShareByDigestTheSameEachTime) {
  std::vector<Feedback> many;
  for (int i = 0; i < 200; ++i) many.push_back(correction(i, fmt::format("question {}", i), "x"));
  const CuratedSet set = curate(many, 0.2).value();
  EXPECT_EQ(set.train.size() + set.held_out.size(), 200U);
  EXPECT_GE(set.held_out.size(), 20U);
  EXPECT_LE(set.held_out.size(), 40U);
  std::reverse(many.begin(), many.end());
  const CuratedSet again = curate(many, 0.2).value();
  ASSERT_EQ(again.held_out.size(), set.held_out.size());
  for (size_t i = 0; i < set.held_out.size(); ++i)
    EXPECT_EQ(again.held_out[i].digest, set.held_out[i].digest);
}

TEST(Curation, MasksQuestionsAndLeavesOutWhatTeachesNothing) {
  const CuratedSet set =
      curate({correction(1, "mail a@b.com", "yes"), correction(2, "x", "old answer")}, 0).value();
  ASSERT_EQ(set.train.size(), 1U);
  EXPECT_EQ(set.train[0].messages[0].at("content").as_string(), "mail <EMAIL>");
  EXPECT_EQ(set.unchanged, 1);
}

TEST(Curation, AnswersToPlainPromptsBecomeTexts) {
  Feedback plain = correction(1, "", " there lived a king");
  plain.messages = {JsonObject{{"role", "prompt"}, {"content", "Once upon a time"}}};
  const CuratedSet set = curate({plain}, 0).value();
  ASSERT_EQ(set.train.size(), 1U);
  EXPECT_EQ(to_training_row(set.train[0]).at("text").as_string(), "Once upon a time there lived a king");
}

}  // namespace
}  // namespace volant
