#include "eval/suites/judge.h"

#include <gmock/gmock.h>

#include "eval/suites/contamination.h"
#include "io/file.h"
#include "support/scratch_dir.h"
#include "text/unicode.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDir;

TEST(Judge, VerdictsAreReadFromItsWords) {
  EXPECT_EQ(verdict_in("It matches the reference.\nVERDICT: YES", false), 1);
  EXPECT_EQ(verdict_in("**Verdict:** no.", false), 0);
  EXPECT_EQ(verdict_in("VERDICT: YES ... on reflection\nVERDICT: NO", false), 0);
  EXPECT_EQ(verdict_in("Yes, it is.", false), 1);
  EXPECT_EQ(verdict_in("Maybe", false), std::nullopt);
  EXPECT_EQ(verdict_in("", false), std::nullopt);
  EXPECT_EQ(verdict_in("VERDICT: B", true), 2);
  EXPECT_EQ(verdict_in("verdict: tie", true), 0);
  EXPECT_EQ(verdict_in("VERDICT: YES", true), std::nullopt);
}

// 20 rows: both yes 8, both no 6, only human yes 2, only judge yes 4. Chance agrees 0.5 * 0.6 + 0.5 * 0.4 =
// 0.5.
TEST(Judge, AgreementIsAccuracyAndKappa) {
  JudgeReport report;
  const auto add = [&](int n, int32_t human, std::optional<int32_t> verdict) {
    for (int i = 0; i < n; ++i) {
      report.rows.push_back({.answers = {"x"}, .human = human});
      report.verdicts.push_back({.verdict = verdict});
    }
  };
  add(8, 1, 1);
  add(6, 0, 0);
  add(2, 1, 0);
  add(4, 0, 1);
  add(3, 1, std::nullopt);
  ASSERT_TRUE(measure_agreement(report));
  EXPECT_EQ(report.unreadable, 3);
  EXPECT_EQ(report.compared, 20);
  EXPECT_NEAR(report.accuracy->value, 0.7, 1e-12);
  EXPECT_NEAR(report.kappa->value, 0.4, 1e-12);
  EXPECT_LT(report.kappa->low, 0.4);
  EXPECT_GT(report.kappa->high, 0.4);
  EXPECT_NEAR(report.right_share.value, 12.0 / 20, 1e-12);
}

// Two rows on which the judge always says yes: any interval of kappa would be empty.
TEST(Judge, TooFewRowsGiveNoKappa) {
  JudgeReport report;
  for (const int32_t human : {0, 1}) {
    report.rows.push_back({.id = std::to_string(human), .question = "q", .answers = {"x"}, .human = human});
    report.verdicts.push_back({.verdict = 1, .said = "VERDICT: YES"});
  }
  ASSERT_TRUE(measure_agreement(report));
  EXPECT_NEAR(report.accuracy->value, 0.5, 1e-12);
  EXPECT_FALSE(report.kappa);
  const EvalReport page = page_of(report, "m");
  EXPECT_THAT(page.notes.back(), HasSubstr("kappa is left out"));
  EXPECT_EQ(page.examples[0].id, "0") << "where people see it otherwise comes first";
  EXPECT_THAT(to_html(page), HasSubstr("Agreement with people"));
}

TEST(Judge, BadRowsAndDeadEndpointsAreNamed) {
  const ScratchDir dir;
  const std::string path = (dir / "rows.jsonl").string();
  ASSERT_TRUE(write_file_atomic(path, R"({"question":"q","answer":"a","human":true})"
                                      "\n"
                                      R"({"question":"q","answer_a":"a","answer_b":"b"})"
                                      "\n"));
  EXPECT_THAT(read_judge_rows(path).error().to_string(),
              HasSubstr("rows.jsonl:2: expected rows of one kind"));
  ASSERT_TRUE(write_file_atomic(path, R"({"question":"q","answer":"a","human":"a"})"));
  EXPECT_THAT(read_judge_rows(path).error().message, HasSubstr("true or false"));
  const std::vector<JudgeRow> rows{{.question = "q", .answers = {"a"}}};
  EXPECT_EQ(judge(rows, {.url = "http://127.0.0.1:1/v1", .model = "m"}).error().code,
            ErrorCode::kUnavailable);
  EXPECT_EQ(judge(rows, {.url = "file:///etc", .model = "m"}).error().code, ErrorCode::kInvalidArgument);
}

Suite suite_of(std::vector<std::string> questions) {
  Suite suite{.name = "s", .format = "answer"};
  for (std::string& question : questions)
    suite.rows.push_back({.id = std::to_string(suite.rows.size()), .question = std::move(question)});
  return suite;
}

TEST(Contamination, SharedRunsAreFoundWhateverTheirCaseAndPunctuation) {
  const std::string words =
      "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
  std::string chinese;
  for (int i = 0; i < 52; ++i)
    chinese += from_code_points(std::u32string(1, static_cast<char32_t>(0x4E00 + 7 * i)));
  ContaminationCheck check =
      ContaminationCheck::of(suite_of({words, "too short to tell", chinese, "a b c d e f g h i j k l m n o"}))
          .value();
  check.add("ZERO one, two three; four five SIX seven eight nine ten eleven twelve thirteen!", "doc 1");
  check.add("one two three four five six seven eight nine ten eleven twelve and on",
            "doc 2");  // 12 words only
  check.add("前言：" + chinese + "。后记", "doc 3");
  const ContaminationReport report = check.report().value();
  EXPECT_EQ(report.rows, 4);
  EXPECT_EQ(report.too_short, 1);
  EXPECT_EQ(report.hit, 2);
  EXPECT_EQ(report.training_texts, 3);
  EXPECT_EQ(report.training_texts_hit, 2);
  EXPECT_NEAR(report.share.value, 2.0 / 3, 1e-12);
  ASSERT_EQ(report.examples.size(), 2);
  EXPECT_EQ(report.examples[0].source, "doc 1");
  EXPECT_EQ(report.examples[0].matched,
            "one two three four five six seven eight nine ten eleven twelve thirteen");
  EXPECT_EQ(report.examples[1].id, "2");
}

TEST(Contamination, ShortRowsAndBadOptionsAreNamed) {
  EXPECT_THAT(ContaminationCheck::of(suite_of({"short"})).value().report().error().message,
              HasSubstr("all 1 rows are shorter"));
  EXPECT_FALSE(ContaminationCheck::of(suite_of({"x"}), {.words = 1}));
}

}  // namespace
}  // namespace volant
