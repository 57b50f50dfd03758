#include "data/prepare.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "data/pack.h"
#include "data/sample.h"
#include "io/jsonl.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using testing::ScratchDir;

Path rows_file(const ScratchDir& dir, const std::vector<Json>& rows) {
  const Path path = dir / "rows.jsonl";
  JsonlWriter writer = *JsonlWriter::create(path);
  for (const Json& row : rows) EXPECT_TRUE(writer.write(row));
  EXPECT_TRUE(writer.finish());
  return path;
}

Json document(const std::string& text, int record = 1) {
  return JsonObject{{"id", "id" + std::to_string(record)},
                    {"text", text},
                    {"source", "test"},
                    {"path", "a.txt"},
                    {"record", record}};
}

std::vector<Json> all_rows(const Path& folder) {
  std::vector<Json> out;
  for (const char* split : {"train", "validation", "test"}) {
    std::vector<Json> rows = *read_jsonl(folder / (std::string(split) + ".jsonl.zst"));
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

const PrepareStepReport& step(const PrepareReport& report, const std::string& name) {
  for (const PrepareStepReport& s : report.steps) {
    if (s.name == name) return s;
  }
  ADD_FAILURE() << "no step " << name;
  static const PrepareStepReport none;
  return none;
}

// Sentences that differ in every word, as real texts do.
std::string sentence(int i) {
  std::string out = "Sentence number";
  for (int k = 0; k < 8; ++k) {
    std::string word;
    for (int n = i * 31 + k * 7 + 11; n > 0; n /= 7) word += "aeiouml"[n % 7];
    out += " the " + word + "s";
  }
  return out + " again.";
}

TEST(Prepare, EveryStepDropsWhatItShouldAndSaysWhy) {
  const ScratchDir dir;
  std::vector<Json> rows = {
      document("\x1b[32m《感遇》\x1b[m\n蘭葉春葳蕤，桂華秋皎潔。欣欣此生意，自爾為佳節。", 1),
      document("Gray is the day, and gray the sea beneath it, said the old man to nobody.", 2),
      document("gray is the day,  and gray the sea beneath it, said the old man to nobody.\n", 3),
      document("Gray is the day and gray the sea beneath it -- said the old man, to nobody!", 4),
      document("Il pleut doucement sur la ville et je ne sais pas encore pourquoi mon coeur est triste.", 5),
      document("(^_^) /\\/\\/\\ <<<>>> ===---=== [[[]]] {{{}}} \\\\//\\\\// ###", 6),
      document("short", 7),
      document("Write to Anna at anna.smith@example.org before the end of the week, please.", 8),
      document("\x07 \n ", 9)};
  rows.push_back(JsonObject{{"no", "text"}});
  for (int i = 20; i < 60; ++i) rows.push_back(document(sentence(i), i));
  PrepareOptions options;
  options.languages = {"en", "zh", "und", "la", "mi", "sw"};
  options.min_quality = 0.3;
  const Result<PrepareReport> report = prepare(options, {rows_file(dir, rows)}, dir / "out");
  ASSERT_TRUE(report) << report.error().to_string();

  EXPECT_EQ(report->rows_in, rows.size());
  EXPECT_EQ(step(*report, "decode").reasons, (std::map<std::string, uint64_t>{{"not_a_row", 1}}));
  EXPECT_EQ(step(*report, "decode").examples[0].source, "");
  EXPECT_EQ(step(*report, "clean").reasons.at("ansi"), 1U);
  EXPECT_EQ(step(*report, "clean").reasons.at("empty"), 1U);
  EXPECT_EQ(step(*report, "personal_data").changed, 1U);
  EXPECT_EQ(step(*report, "exact_duplicates").dropped, 1U);
  EXPECT_EQ(step(*report, "exact_duplicates").examples[0].detail, "the same as a.txt record 2");
  EXPECT_EQ(step(*report, "near_duplicates").examples[0].record, 4U);
  EXPECT_EQ(step(*report, "language").reasons.at("fr"), 1U);
  EXPECT_EQ(step(*report, "quality").reasons.at("too_short"), 1U);
  EXPECT_EQ(report->personal_data, (std::map<std::string, uint64_t>{{"email", 1}}));

  // Each step takes up what the one before left.
  for (size_t i = 1; i < report->steps.size(); ++i)
    EXPECT_EQ(report->steps[i].rows_in, report->steps[i - 1].rows_out) << report->steps[i].name;
  for (const PrepareStepReport& s : report->steps) {
    EXPECT_EQ(s.rows_in, s.rows_out + s.dropped) << s.name;
    uint64_t in = 0, out = 0;
    for (const auto& [language, counts] : s.by_language) in += counts[0], out += counts[1];
    EXPECT_EQ(in, s.rows_in) << s.name;
    EXPECT_EQ(out, s.rows_out) << s.name;
  }

  const std::vector<Json> kept = all_rows(dir / "out");
  EXPECT_EQ(kept.size(), report->rows_out);
  std::set<std::string> texts;
  for (const Json& row : kept) {
    EXPECT_EQ(row.as_object().size(), 4U);
    texts.insert(*json_string(row, "text"));
  }
  EXPECT_TRUE(texts.contains("《感遇》\n蘭葉春葳蕤，桂華秋皎潔。欣欣此生意，自爾為佳節。"));
  EXPECT_TRUE(texts.contains("Write to Anna at <EMAIL> before the end of the week, please."));
  const Json written = *parse_json(*read_file(dir / "out/report.json"));
  EXPECT_EQ(dump_json(written), dump_json(report->to_json()));
  EXPECT_EQ(written.at("splits").at("train").at("rows").to_number<uint64_t>(),
            report->splits.at("train").rows);
  EXPECT_EQ(written.at("sources").at("test").at("rows_out").to_number<uint64_t>(), kept.size());
}

TEST(Prepare, TheSameInputGivesTheSameBytes) {
  const ScratchDir dir;
  std::vector<Json> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(document(sentence(i % 150), i));
  const Path in = rows_file(dir, rows);
  PrepareOptions options;
  ASSERT_TRUE(prepare(options, {in}, dir / "a"));
  ASSERT_TRUE(prepare(options, {in}, dir / "b"));
  for (const char* file : {"train.jsonl.zst", "validation.jsonl.zst", "test.jsonl.zst", "report.json"}) {
    EXPECT_EQ(*read_file(dir / "a" / file), *read_file(dir / "b" / file)) << file;
  }
  size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir / "a")) n += !entry.path().empty();
  EXPECT_EQ(n, 4U) << "nothing temporary is left";
}

TEST(Prepare, ATextStaysInItsSplitWhenOthersComeAndGo) {
  const ScratchDir dir;
  std::vector<Json> few, many;
  for (int i = 0; i < 400; ++i) {
    if (i % 2 == 0) few.push_back(document(sentence(i), i));
    many.push_back(document(sentence(399 - i), 1000 + i));
  }
  PrepareOptions options;
  options.validation_share = options.test_share = 0.2;
  ASSERT_TRUE(prepare(options, {rows_file(dir, few)}, dir / "few"));
  ASSERT_TRUE(prepare(options, {rows_file(dir, many)}, dir / "many"));
  const auto split_by_text = [](const Path& folder) {
    std::map<std::string, std::string> out;
    for (const char* split : {"train", "validation", "test"}) {
      const std::vector<Json> rows = *read_jsonl(folder / (std::string(split) + ".jsonl.zst"));
      for (const Json& row : rows) out[*json_string(row, "text")] = split;
    }
    return out;
  };
  const auto a = split_by_text(dir / "few"), b = split_by_text(dir / "many");
  size_t both = 0;
  for (const auto& [text, split] : a) {
    if (!b.contains(text)) continue;
    EXPECT_EQ(b.at(text), split);
    ++both;
  }
  EXPECT_GT(both, 20U);
}

TEST(Prepare, ConversationsKeepTheirShape) {
  const ScratchDir dir;
  const auto chat = [](const std::string& question, const std::string& answer) {
    return Json(JsonObject{{"messages", JsonArray{JsonObject{{"role", "user"}, {"content", question}},
                                                  JsonObject{{"role", "assistant"}, {"content", answer}}}},
                           {"source", "chats"},
                           {"weight", 2}});
  };
  const Path in = rows_file(dir, {chat("\x1b[1mHow do I reach Anna, who works in the office?\x1b[m",
                                       "Write to anna@example.org, she answers quickly."),
                                  chat("What is the colour of the sky over the sea today?",
                                       "It is blue, as it was yesterday and before."),
                                  Json(JsonObject{{"messages", JsonArray{JsonObject{{"role", "user"}}}}})});
  PrepareOptions options;
  options.validation_share = options.test_share = 0;
  const Result<PrepareReport> report = prepare(options, {in}, dir / "out");
  ASSERT_TRUE(report) << report.error().to_string();
  const std::vector<Json> kept = all_rows(dir / "out");
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(
      dump_json(kept[0].at("messages")),
      R"([{"role":"user","content":"How do I reach Anna, who works in the office?"},{"role":"assistant","content":"Write to <EMAIL>, she answers quickly."}])");
  EXPECT_EQ(*json_int(kept[0], "weight"), 2);
  EXPECT_EQ(step(*report, "decode").dropped, 1U);
}

TEST(Prepare, CutsLongDocuments) {
  const ScratchDir dir;
  std::string text;
  for (int i = 0; i < 100; ++i) text += sentence(i) + "\n\n";
  PrepareOptions options;
  options.max_chars = 1000;
  const Result<PrepareReport> report = prepare(options, {rows_file(dir, {document(text)})}, dir / "out");
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_GT(step(*report, "cut").rows_out, 5U);
  for (const Json& row : all_rows(dir / "out")) {
    EXPECT_LE(json_string(row, "text")->size(), 1000U);
    EXPECT_TRUE(json_string(row, "id")->starts_with("id1."));
  }
}

TEST(Prepare, TheReportShowsNothingThatWasMasked) {
  const ScratchDir dir;
  std::vector<Json> rows = {
      document("\x1b[1mWrite  to anna@example.org\x1b[m or call 13812345678 before the end of the week."),
      document("anna@example.org"),
      document("Ecrivez a anna@example.org avant la fin de la semaine, s'il vous plait.")};
  for (int i = 0; i < 30; ++i) rows.push_back(document(sentence(i), i));
  const Path in = rows_file(dir, rows);
  PrepareOptions options;
  options.languages = {"en"};
  ASSERT_TRUE(prepare(options, {in}, dir / "masked"));
  EXPECT_EQ(read_file(dir / "masked/report.json")->find("anna@"), std::string::npos);
  EXPECT_EQ(read_file(dir / "masked/report.json")->find("13812345678"), std::string::npos);
  options.mask_personal_data = false;
  ASSERT_TRUE(prepare(options, {in}, dir / "open"));
  EXPECT_NE(read_file(dir / "open/report.json")->find("anna@"), std::string::npos);
}

TEST(Prepare, SaysWhichStepLeftNothing) {
  const ScratchDir dir;
  const Result<PrepareReport> report = prepare(
      {.languages = {"zh"}}, {rows_file(dir, {document(sentence(3)), document(sentence(4))})}, dir / "out");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kParse);
  EXPECT_NE(report.error().message.find("\"language\" dropped 2"), std::string::npos)
      << report.error().message;
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));
  EXPECT_EQ(prepare({}, {rows_file(dir, {})}, dir / "out").error().code, ErrorCode::kParse);
  EXPECT_EQ(prepare({}, {dir / "none.jsonl"}, dir / "out").error().code, ErrorCode::kNotFound);
}

TEST(Prepare, RefusesOptionsOutOfRange) {
  const ScratchDir dir;
  const Path in = rows_file(dir, {document(sentence(1))});
  for (const PrepareOptions& options :
       {PrepareOptions{.normalize = "x"}, PrepareOptions{.min_quality = 2},
        PrepareOptions{.skip_rules = {"few_leters"}},
        PrepareOptions{.validation_share = 0.7, .test_share = 0.4}, PrepareOptions{.max_chars = 5}}) {
    const Result<PrepareReport> report = prepare(options, {in}, dir / "out");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Pack, WritesBosTextEosForEachDocument) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto tokenizer = load_tokenizer(model);
  ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
  const ScratchDir dir;
  const Path in = rows_file(dir, {document("Once upon a time"), document("The end</s>")});
  const Result<ShardReport> report = write_shard_of_rows(in, **tokenizer, dir / "train");
  ASSERT_TRUE(report) << report.error().to_string();
  const Result<TokenShard> shard = TokenShard::open(dir / "train");
  ASSERT_TRUE(shard);
  EXPECT_EQ(report->documents, 2U);
  EXPECT_EQ(report->tokens, shard->n_tokens());
  EXPECT_EQ(report->text_bytes, 27U);
  std::vector<int32_t> expected = {*(*tokenizer)->bos_id()};
  for (const int32_t id : (*tokenizer)->encode("Once upon a time", {.add_special = false}))
    expected.push_back(id);
  expected.push_back(*(*tokenizer)->eos_id());
  EXPECT_EQ(shard->document(0), expected);
  const std::vector<int32_t> second = shard->document(1);  // what a user wrote is text, not a control symbol
  EXPECT_EQ(std::count(second.begin(), second.end(), *(*tokenizer)->eos_id()), 1);
}

TEST(Sample, ShowsHowAFileWouldBeRead) {
  EXPECT_EQ(kind_of_file("a/b.MD"), "markdown");
  EXPECT_EQ(kind_of_file("x.jsonl.zst"), "jsonl");
  EXPECT_EQ(kind_of_file("fortunes"), "text");
  const ScratchDir dir;
  ASSERT_TRUE(
      write_file_atomic(dir / "a.csv", "id,review\n1,The food was very good and came in time.\n2,bad\n"));
  const Result<Json> sample = sample_of_file(dir / "a.csv", "", 5);
  ASSERT_TRUE(sample) << sample.error().to_string();
  EXPECT_EQ(*json_string(*sample, "kind"), "csv");
  EXPECT_EQ(*json_string(*sample, "field"), "review");
  EXPECT_EQ(sample->at("records").to_number<int>(), 2);
  EXPECT_EQ(sample->at("rows").at(0).at("verdict"), "kept");
  EXPECT_EQ(sample->at("verdicts").at("too_short").to_number<int>(), 1);
}

}  // namespace
}  // namespace volant
