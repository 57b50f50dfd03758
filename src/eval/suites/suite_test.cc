#include "eval/suites/suite.h"

#include <gmock/gmock.h>

#include "eval/report/compare.h"
#include "eval/suites/prompts.h"
#include "eval/suites/run_suite.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::ScratchDir;
using ::testing::StartsWith;

Path write(const ScratchDir& dir, const char* name, std::string_view text) {
  EXPECT_TRUE(write_file_atomic(dir / name, text));
  return dir / name;
}

TEST(Suite, PublishedSetsLoadWhole) {
  VOLANT_DATA_OR_SKIP(data, "datasets");
  const Suite mmlu = load_suite("mmlu:" + (data / "mmlu").string()).value();
  EXPECT_EQ(mmlu.rows.size(), 14042);
  EXPECT_EQ(mmlu.examples.size(), 57);
  EXPECT_EQ(mmlu.examples.at("anatomy").size(), 5);
  const Suite gsm8k = load_suite("gsm8k:" + (data / "gsm8k/test.jsonl").string()).value();
  EXPECT_EQ(gsm8k.rows.size(), 1319);
  EXPECT_EQ(gsm8k.rows[0].references[0], "18");
  const Suite humaneval = load_suite("humaneval:" + (data / "humaneval/HumanEval.jsonl.gz").string()).value();
  EXPECT_EQ(humaneval.rows.size(), 164);
  EXPECT_EQ(humaneval.rows[0].entry_point, "has_close_elements");
  const Suite cmrc = load_suite("cmrc2018:" + (data / "cmrc2018/cmrc2018_dev.json").string()).value();
  EXPECT_EQ(cmrc.rows.size(), 3219);
  EXPECT_EQ(cmrc.rows[0].references.size(), 3);
  EXPECT_EQ(load_suite("gsm8k:" + (data / "gsm8k/test.jsonl").string(), 10).value().rows.size(), 10);
}

TEST(Suite, AChoiceIsAskedAsMmluAsks) {
  VOLANT_DATA_OR_SKIP(data, "datasets/mmlu");
  const Suite mmlu = load_suite("mmlu:" + data.string()).value();
  const SuiteRow& row = mmlu.rows[0];
  const std::string prompt = suite_prompt(mmlu, row, mmlu.examples.at(row.group), false);
  EXPECT_THAT(
      prompt,
      StartsWith("The following are multiple choice questions (with answers) about abstract algebra.\n\n"));
  EXPECT_THAT(prompt, HasSubstr("\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\n"));
  EXPECT_THAT(prompt, EndsWith("\nAnswer:"));
}

TEST(Suite, RowsOfOnesOwn) {
  const ScratchDir dir;
  const Path rows = write(
      dir, "own.jsonl",
      "{\"id\":\"x\",\"subject\":\"s\",\"question\":\"q\",\"choices\":[\"a\",\"b\",\"c\"],\"answer\":\"C\"}\n"
      "{\"question\":\"q2\",\"choices\":[\"a\",\"b\"],\"answer\":0}\n");
  const Suite suite = load_suite("choice:" + rows.string()).value();
  ASSERT_EQ(suite.rows.size(), 2);
  EXPECT_EQ(suite.name, "own.jsonl");
  EXPECT_EQ(suite.rows[0].answer, 2);
  EXPECT_EQ(suite.rows[0].group, "s");
  EXPECT_EQ(suite.rows[1].id, "1");
  const Path number = write(dir, "n.jsonl", "{\"question\":\"q\",\"answer\":1234.50}\n");
  EXPECT_EQ(load_suite("number:" + number.string()).value().rows[0].references[0], "1234.5");
  const Path original = write(dir, "law_test.csv", "Q1,a,b,c,d,B\n\"Q, 2\",a,b,c,d,D\n");
  const Suite letters = load_suite("mmlu:" + original.string()).value();
  EXPECT_EQ(letters.rows.size(), 2);
  EXPECT_EQ(letters.rows[1].answer, 3);
  EXPECT_EQ(letters.rows[0].group, "law");
}

TEST(Suite, BadFilesAreNamedWithTheirLine) {
  const ScratchDir dir;
  EXPECT_THAT(load_suite("mmul:x").error().message, HasSubstr("did you mean 'mmlu'?"));
  EXPECT_THAT(load_suite("mmlu").error().message, HasSubstr("names no path"));
  EXPECT_EQ(load_suite("gsm8k:" + (dir / "none.jsonl").string()).error().code, ErrorCode::kNotFound);
  const Path rows = write(dir, "own.jsonl",
                          "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":0}\n"
                          "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":5}\n");
  EXPECT_THAT(load_suite("choice:" + rows.string()).error().to_string(),
              HasSubstr("own.jsonl:2: expected \"answer\""));
  EXPECT_THAT(load_suite("squad:" + rows.string()).error().to_string(), HasSubstr("own.jsonl"));
  EXPECT_THAT(
      load_suite("number:" + write(dir, "n.jsonl", "{\"question\":\"q\",\"answer\":\"x\"}\n").string())
          .error()
          .message,
      HasSubstr("to be a number"));
  EXPECT_THAT(load_suite("answer:" + write(dir, "empty.jsonl", "\n").string()).error().message,
              HasSubstr("found none"));
}

TEST(Prompts, NumbersAreReadFromAnswers) {
  EXPECT_EQ(final_number("so 3 + 4 = 7.\n#### 1,234.50 dollars"), "1234.5");
  EXPECT_EQ(final_number("She makes $18."), "18");
  EXPECT_EQ(final_number("it falls to -3"), "-3");
  EXPECT_EQ(final_number("that is 5-3"), "3");
  EXPECT_EQ(final_number("no idea"), "");
  EXPECT_EQ(plain_number("007.0"), "7");
  EXPECT_EQ(plain_number("$0.50"), "0.5");
  EXPECT_EQ(plain_number("-0"), "0");
}

TEST(Prompts, FirstLinesAreReadFromAnswers) { EXPECT_EQ(first_line("\n\n  Paris \nis"), "Paris"); }

TEST(Prompts, ACodeBlockReplacesThePromptsFunction) {
  const SuiteRow row{.question = "import math\n\ndef f(x):\n",
                     .test = "def check(c):\n    assert c(4) == 2\n",
                     .entry_point = "f"};
  EXPECT_THAT(test_program(row, "    return 1\n"), StartsWith("import math\n\ndef f(x):\n    return 1\n"));
  EXPECT_THAT(test_program(row, "Here:\n```python\ndef f(x):\n    return math.isqrt(x)\n```\nDone."),
              StartsWith("import math\n\ndef f(x):\n    return math.isqrt(x)\n\ndef check"));
}

TEST(RunSuite, PassAtKIsTheUnbiasedEstimate) {
  EXPECT_NEAR(pass_at_k(10, 3, 1), 0.3, 1e-12);
  EXPECT_NEAR(pass_at_k(5, 2, 2), 1 - 3.0 / 10, 1e-12);  // all pairs but those of three failures
  EXPECT_EQ(pass_at_k(5, 4, 2), 1);
  EXPECT_EQ(pass_at_k(5, 0, 2), 0);
}

TEST(RunSuite, ChoicesAreThoseOfTheLikelihoods) {
  VOLANT_DATA_OR_SKIP(model, "models/minimind2-small");
  VOLANT_DATA_OR_SKIP(data, "datasets/mmlu");
  const auto engine = Engine::open(model, {.n_ctx = 1024}).value();
  Suite suite = load_suite("mmlu:" + (data / "test/anatomy_test.csv").string(), 6).value();
  const EvalReport report = run_suite(*engine, suite).value();
  ASSERT_EQ(report.rows, 6);
  // The oracle: the nll of every letter behind the prompt.
  for (size_t i = 0; i < suite.rows.size(); ++i) {
    const std::string prompt = suite_prompt(suite, suite.rows[i], {}, false);
    int32_t best = 0;
    float least = 0;
    for (int32_t c = 0; c < 4; ++c) {
      const auto ids =
          engine->tokenizer().encode(prompt + " " + static_cast<char>('A' + c), {.parse_special = false});
      const float nll = engine->score(ids).value().nll.back();
      if (c == 0 || nll < least) {
        least = nll;
        best = c;
      }
    }
    EXPECT_EQ(report.row_scores.at("accuracy")[i], best == suite.rows[i].answer ? 1 : 0) << i;
  }
  EXPECT_LT(report.figures[0].estimate.low, report.figures[0].estimate.high);
}

TEST(RunSuite, AnswersAreScoredAndTheReportRoundTrips) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const ScratchDir dir;
  const auto engine = Engine::open(model).value();
  GenerateRequest request{.prompt = engine->tokenizer().encode("Question: Once upon a time\nAnswer:"),
                          .max_tokens = 64};
  request.sampling.temperature = 0;
  request.stop = suite_stops(SuiteKind::kAnswer);
  const std::string answer = first_line(engine->generate(request).value().text);
  const Path rows =
      write(dir, "own.jsonl",
            dump_json(JsonObject{{"question", "Once upon a time"}, {"answer", answer}, {"group", "a"}}) +
                "\n" + R"({"question":"Once upon a time","answers":["xyzzy"],"group":"b"})" + "\n");
  const EvalReport report = run_suite(*engine, load_suite("answer:" + rows.string()).value()).value();
  EXPECT_THAT(report.row_scores.at("exact_match"), ElementsAre(1, 0));
  ASSERT_EQ(report.groups.size(), 2);
  EXPECT_EQ(report.groups[0].figures[0].estimate.value, 1);
  const EvalReport back = report_from_json(to_json(report)).value();
  EXPECT_EQ(back.figures.size(), report.figures.size());
  EXPECT_EQ(back.row_scores, report.row_scores);
  EXPECT_EQ(back.row_ids, report.row_ids);
  const Comparison same = compare_reports(back, report).value();
  EXPECT_EQ(same.figures[0].verdict, Verdict::kNoDifferenceShown);
  EXPECT_TRUE(same.figures[0].paired);
  EXPECT_EQ(same.figures[0].p_value, 1);
}

TEST(RunSuite, TextIsScoredOverTheWhole) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const ScratchDir dir;
  const auto engine = Engine::open(model).value();
  GenerateRequest request{.prompt = engine->tokenizer().encode("Once upon a time"), .max_tokens = 24};
  request.sampling.temperature = 0;
  const std::string told = engine->generate(request).value().text;
  const Path rows =
      write(dir, "own.jsonl",
            dump_json(JsonObject{{"prompt", "Once upon a time"}, {"answers", JsonArray{told, "x"}}}) + "\n" +
                dump_json(JsonObject{{"prompt", "Once upon a time"}, {"answer", told}}) + "\n");
  const EvalReport report =
      run_suite(*engine, load_suite("text:" + rows.string()).value(), {.max_tokens = 24}).value();
  ASSERT_EQ(report.figures.size(), 3);
  EXPECT_EQ(report.figures[1].name, "bleu");
  EXPECT_NEAR(report.figures[1].estimate.value, 100, 1e-9);
  EXPECT_NEAR(report.figures[2].estimate.value, 100, 1e-9);
  EXPECT_THAT(report.row_scores.at("rouge_l"), ElementsAre(1, 1));
}

TEST(RunSuite, WhatCannotBeAskedIsRefused) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine = Engine::open(model).value();
  Suite suite{.name = "s", .format = "answer", .kind = SuiteKind::kAnswer};
  EXPECT_THAT(run_suite(*engine, suite).error().message, HasSubstr("at least one row"));
  suite.rows.push_back({.question = "q", .references = {"a"}});
  EXPECT_THAT(run_suite(*engine, suite, {.samples = 3}).error().message, HasSubstr("code suites"));
  EXPECT_THAT(run_suite(*engine, suite, {.chat = true}).error().message, HasSubstr("no chat template"));
}

}  // namespace
}  // namespace volant
