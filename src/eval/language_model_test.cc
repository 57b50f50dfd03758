#include "eval/language_model.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

#include "eval/documents.h"
#include "io/jsonl.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ScratchDir;

Json golden(const Path& root, const std::string& model) {
  return parse_json(read_file(root / model / "logits.json").value()).value();
}

TEST(LanguageModel, BitsPerByteAreTheGoldenLosses) {
  VOLANT_DATA_OR_SKIP(models, "models");
  VOLANT_DATA_OR_SKIP(goldens, "golden");
  for (const char* name : {"stories260K", "stories15M", "minimind2-small"}) {
    const auto engine = Engine::open(models / name).value();
    const Json json = golden(goldens, name);
    int checked = 0;
    for (const Json& one : json.at("cases").as_array()) {
      if (!json_find(one, "text") || !json_find(one, "nll")) continue;
      const std::string text = json_string(one, "text").value();
      const auto n = static_cast<double>(one.at("nll").as_array().size());
      double nll = 0;
      for (const Json& loss : one.at("nll").as_array()) nll += loss.to_number<double>();
      const auto report = evaluate_language_model(*engine, {{text, "en"}}, {}).value();
      const double per_token = report.documents[0].bits * std::numbers::ln2 / n;
      EXPECT_NEAR(per_token, nll / n, 2e-3) << name << ": " << text;
      EXPECT_EQ(report.all.tokens, static_cast<int64_t>(n));
      ++checked;
    }
    EXPECT_GT(checked, 0) << name;
  }
}

TEST(LanguageModel, SumsAndGroups) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine = Engine::open(model).value();
  const std::vector<EvalDocument> documents{
      {"Once upon a time there was a dog.", "en"}, {"", "en"}, {"She was happy.", "en"}, {"狗", "zh"}};
  LanguageEvalOptions options;
  options.sample_prompts = {"Once upon a time"};
  options.sample_tokens = 8;
  uint64_t told = 0;
  options.on_progress = [&](uint64_t done, uint64_t total) {
    EXPECT_EQ(total, 4U);
    EXPECT_EQ(done, ++told);
  };
  const LanguageEvalReport report = evaluate_language_model(*engine, documents, options).value();
  EXPECT_EQ(told, 4U);
  ASSERT_EQ(report.documents.size(), 4U);
  EXPECT_EQ(report.documents[1].tokens, 0);
  EXPECT_EQ(report.all.documents, 3);
  EXPECT_EQ(report.all.bytes, 33 + 14 + 3);
  EXPECT_EQ(report.by_language.at("en").documents, 2);
  EXPECT_NEAR(report.all.bits_per_byte.value,
              (report.documents[0].bits + report.documents[2].bits + report.documents[3].bits) / 50, 1e-12);
  EXPECT_LE(report.all.bits_per_byte.low, report.all.bits_per_byte.value);
  EXPECT_GE(report.all.bits_per_byte.high, report.all.bits_per_byte.value);
  EXPECT_GT(report.all.perplexity.value, 1);
  ASSERT_EQ(report.samples.size(), 1U);
  EXPECT_FALSE(report.samples[0].continuation.empty());
  const Json json = to_json(report);
  EXPECT_EQ(json.at("bits_per_byte").at("ci95").as_array().size(), 2U);
  EXPECT_EQ(json.at("by_language").at("zh").at("documents").as_int64(), 1);
}

TEST(LanguageModel, NothingToScoreIsAnError) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine = Engine::open(model).value();
  EXPECT_EQ(evaluate_language_model(*engine, {}, {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(evaluate_language_model(*engine, {{"", "en"}}, {}).error().code, ErrorCode::kInvalidArgument);
}

// Each token is scored exactly once, whatever the window;
// windows see less, so they are worse, but not by much.
TEST(LanguageModel, LongTextsAreScoredInWindows) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += "Once upon a time, there was a little girl named Lily. She loved to play outside. ";
  const auto whole = Engine::open(model).value();
  const auto small = Engine::open(model, {.n_ctx = 64}).value();
  const auto a = evaluate_language_model(*whole, {{text, "en"}}, {}).value();
  const auto b = evaluate_language_model(*small, {{text, "en"}}, {}).value();
  ASSERT_GT(a.all.tokens, 300);
  EXPECT_EQ(a.all.tokens, b.all.tokens);
  EXPECT_EQ(a.all.bytes, b.all.bytes);
  EXPECT_GT(b.all.bits_per_byte.value, 0);
  EXPECT_LT(b.all.bits_per_byte.value, 2 * a.all.bits_per_byte.value + 0.5);
}

TEST(LanguageModel, ReportPageStandsAloneAndEscapes) {
  LanguageEvalReport report;
  report.all.bits_per_byte = {1.5, 1.4, 1.6};
  report.all.documents = 12;
  report.by_language["<b>"] = report.all;
  report.samples = {{"<script>alert(1)</script>", "a & b"}};
  for (int i = 0; i < 12; ++i)
    report.documents.push_back({.language = "en", .bits = 10.0 + i, .bytes = 10, .tokens = 3, .correct = 1});
  const std::string page = to_html(report, "\"quoted\" & <title>");
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
  EXPECT_THAT(page, HasSubstr("&lt;title&gt;"));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(page, HasSubstr("1.4000 to 1.6000"));
  EXPECT_THAT(page, HasSubstr("Documents by bits per byte"));
}

std::vector<std::string> texts(const std::vector<EvalDocument>& documents) {
  std::vector<std::string> all;
  for (const EvalDocument& document : documents) all.push_back(document.text);
  return all;
}

TEST(EvalDocuments, ParagraphsOrSeparatorsOfATextFile) {
  const ScratchDir scratch;
  write_file_atomic(scratch / "a.txt", "one\nstill one\n \n\n\ntwo\r\n").value();
  EXPECT_THAT(texts(read_eval_documents(scratch / "a.txt").value()), ElementsAre("one\nstill one", "two"));
  write_file_atomic(scratch / "b.txt", "one\n\nstill\n%\ntwo\n%\n").value();
  EXPECT_THAT(texts(read_eval_documents(scratch / "b.txt", {.separator = "%"}).value()),
              ElementsAre("one\n\nstill", "two"));
  EXPECT_THAT(texts(read_eval_documents(scratch / "b.txt", {.separator = "%", .limit = 1}).value()),
              ElementsAre("one\n\nstill"));
  write_file_atomic(scratch / "c.txt", "\n\n").value();
  EXPECT_EQ(read_eval_documents(scratch / "c.txt").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(read_eval_documents(scratch / "none.txt").error().code, ErrorCode::kNotFound);
}

TEST(EvalDocuments, LanguagesAreFoundOut) {
  const ScratchDir scratch;
  write_file_atomic(
      scratch / "a.txt",
      "The weather was fine and the children went to the river.\n\n今天天气很好，孩子们去河边玩。\n")
      .value();
  const auto documents = read_eval_documents(scratch / "a.txt").value();
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_EQ(documents[0].language, "en");
  EXPECT_EQ(documents[1].language, "zh");
}

TEST(EvalDocuments, RowsOfJsonLines) {
  const ScratchDir scratch;
  JsonlWriter writer = JsonlWriter::create(scratch / "r.jsonl.zst").value();
  writer.write(parse_json(R"({"text":"one","lang":"xx"})").value()).value();
  writer
      .write(
          parse_json(R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes"}]})")
              .value())
      .value();
  writer.finish().value();
  const auto documents = read_eval_documents(scratch / "r.jsonl.zst").value();
  EXPECT_THAT(texts(documents), ElementsAre("one", "hi\n\nyes"));
  EXPECT_EQ(documents[0].language, "xx");
  write_file_atomic(scratch / "bad.jsonl", "{\"text\":\"a\"}\n{\"txt\":\"b\"}\n").value();
  EXPECT_THAT(read_eval_documents(scratch / "bad.jsonl").error().to_string(), HasSubstr("bad.jsonl:2"));
}

}  // namespace
}  // namespace volant
