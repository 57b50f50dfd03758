#include "data/collect.h"

#include <gtest/gtest.h>

#include <fstream>

#include "io/jsonl.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using testing::ScratchDir;

void put(const Path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

struct Collected {
  CollectReport report;
  std::vector<Json> rows;
  std::string text(size_t i) const { return *json_string(rows.at(i), "text"); }
};

Collected collected(const CollectSource& source, const Path& base, const Path& out) {
  CollectOptions options;
  options.sources = {source};
  Result<CollectReport> report = collect(options, out, base);
  EXPECT_TRUE(report) << report.error().to_string();
  if (!report) return {};
  return {*report, *read_jsonl(out)};
}

CollectSource source_of(const std::string& kind, const std::string& glob) {
  CollectSource source;
  source.name = "s";
  source.kind = kind;
  source.paths = {glob};
  return source;
}

TEST(Collect, CutsTextAtSeparatorLines) {
  const ScratchDir dir;
  put(dir / "in/quotes", "first\nline two\n%\n\n%\nsecond %\n%  \nthird without end");
  CollectSource source = source_of("text", "in/*");
  source.separator = "%";
  const Collected got = collected(source, dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 3U);
  EXPECT_EQ(got.text(0), "first\nline two\n");
  EXPECT_EQ(got.text(1), "second %\n");
  EXPECT_EQ(got.text(2), "third without end");
  EXPECT_EQ(*json_string(got.rows[0], "path"), "in/quotes");
  EXPECT_EQ(*json_int(got.rows[1], "record"), 3);
  EXPECT_EQ(json_string(got.rows[0], "id")->size(), 16U);
  EXPECT_EQ(got.report.sources[0].rows_empty, 1U);
}

TEST(Collect, CutsTextAtBlankLines) {
  const ScratchDir dir;
  put(dir / "in/play", "ROMEO:\nAy me!\n\n\n  \nJULIET:\nAy.\r\n\r\n");
  CollectSource source = source_of("text", "in/*");
  source.separator = "\n";
  const Collected got = collected(source, dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 2U);
  EXPECT_EQ(got.text(0), "ROMEO:\nAy me!\n");
  EXPECT_EQ(got.text(1), "JULIET:\nAy.\r\n");
  EXPECT_EQ(got.report.sources[0].rows_empty, 0U);
}

TEST(Collect, ReadsAFileOnceWhateverItsNames) {
  const ScratchDir dir;
  put(dir / "in/b.txt", "the text");
  std::filesystem::create_symlink("b.txt", dir / "in/a.u8");
  std::filesystem::create_hard_link(dir / "in/b.txt", dir / "in/c.txt");
  CollectSource source = source_of("text", "in/*");
  source.paths.push_back("in/b.txt");
  const Collected got = collected(source, dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 1U);
  EXPECT_EQ(*json_string(got.rows[0], "path"), "in/b.txt");
  EXPECT_EQ(got.report.sources[0].files, 1U);
  EXPECT_EQ(got.report.sources[0].files_again, 3U);
}

TEST(Collect, ExcludesByPattern) {
  const ScratchDir dir;
  put(dir / "in/a.txt", "kept");
  put(dir / "in/a.dat", "left out");
  CollectSource source = source_of("text", "in/*");
  source.exclude = {"*.dat"};
  EXPECT_EQ(collected(source, dir.path(), dir / "out.jsonl").rows.size(), 1U);
}

TEST(Collect, ReadsEveryCharset) {
  const ScratchDir dir;
  const std::string sentence = "床前明月光，疑是地上霜。举头望明月，低头思故乡。";
  put(dir / "gbk/a.txt",
      "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\xA3\xAC\xD2\xC9\xCA\xC7\xB5\xD8\xC9\xCF\xCB\xAA\xA1\xA3\xBE"
      "\xD9\xCD\xB7\xCD\xFB\xC3\xF7\xD4\xC2\xA3\xAC\xB5\xCD\xCD\xB7\xCB\xBC\xB9\xCA\xCF\xE7\xA1\xA3");
  put(dir / "bom/a.txt", "\xEF\xBB\xBF" + sentence);
  std::string utf16 = "\xFF\xFE";
  for (const char16_t c : u"床前明月光，疑是地上霜。举头望明月，低头思故乡。") {
    if (c == 0) break;
    utf16 += static_cast<char>(c & 0xFF);
    utf16 += static_cast<char>(c >> 8);
  }
  put(dir / "utf16/a.txt", utf16);
  for (const char* folder : {"gbk", "bom", "utf16"}) {
    const Collected got =
        collected(source_of("text", std::string(folder) + "/*"), dir.path(), dir / "out.jsonl");
    ASSERT_EQ(got.rows.size(), 1U) << folder;
    EXPECT_EQ(got.text(0), sentence) << folder;
  }
}

TEST(Collect, ReadsColumnsOfCsvAndTsv) {
  const ScratchDir dir;
  put(dir / "a.csv", "id,title,text\n1,T,\"two\nlines, \"\"quoted\"\"\"\n2,only,\n3,U,last\n");
  CollectSource source = source_of("csv", "a.csv");
  Collected got = collected(source, dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 2U);
  EXPECT_EQ(got.text(0), "two\nlines, \"quoted\"");
  EXPECT_EQ(got.report.sources[0].rows_empty, 1U);
  source.text_field = "title,text";
  got = collected(source, dir.path(), dir / "out.jsonl");
  EXPECT_EQ(got.text(0), "T\ntwo\nlines, \"quoted\"");
  EXPECT_EQ(got.text(1), "only");

  put(dir / "b.tsv", "ham\tsay \"hi\nspam\twin\n");
  source = source_of("csv", "b.tsv");
  source.text_field = "#2";
  got = collected(source, dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 2U);
  EXPECT_EQ(got.text(0), "say \"hi");
}

TEST(Collect, CountsBadRowsAndGoesOn) {
  const ScratchDir dir;
  put(dir / "a.csv", "id,text\n1,good\n2\n3,fine,too many\n4,better\n");
  Collected got = collected(source_of("csv", "a.csv"), dir.path(), dir / "out.jsonl");
  EXPECT_EQ(got.rows.size(), 2U);
  ASSERT_EQ(got.report.sources[0].rows_bad, 2U);
  EXPECT_EQ(got.report.sources[0].problems[0].where, "a.csv:3");

  put(dir / "a.jsonl",
      "{\"text\":\"good\"}\n{\"text\":\n[1]\n{\"other\":1}\n{\"text\":7}\n\n{\"text\":\"better\"}\n" +
          std::string(200, '[') + "\n");
  got = collected(source_of("jsonl", "a.jsonl"), dir.path(), dir / "out.jsonl");
  EXPECT_EQ(got.rows.size(), 2U);
  EXPECT_EQ(got.report.sources[0].rows_bad, 5U);
  EXPECT_EQ(got.report.sources[0].problems[0].where, "a.jsonl:2");
  EXPECT_NE(got.report.sources[0].problems[2].message.find("expected the field \"text\""), std::string::npos);

  put(dir / "b.jsonl", "[1]\n{\"text\":\"good\"}\n");
  got = collected(source_of("jsonl", "b.jsonl"), dir.path(), dir / "out.jsonl");
  EXPECT_EQ(got.rows.size(), 1U);
  EXPECT_EQ(got.report.sources[0].rows_bad, 1U);
}

TEST(Collect, ReadsFieldsListsConversationsAndArrays) {
  const ScratchDir dir;
  put(dir / "a.json", R"([{"title":"靜夜思","paragraphs":["床前明月光","疑是地上霜"],"meta":{"note":"n"}}])");
  CollectSource source = source_of("jsonl", "a.json");
  source.text_field = "title,paragraphs,meta.note";
  EXPECT_EQ(collected(source, dir.path(), dir / "out.jsonl").text(0), "靜夜思\n床前明月光\n疑是地上霜\nn");

  put(dir / "chat.jsonl",
      R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"weight":2}
{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"system":"be kind"}
)");
  const Collected got = collected(source_of("jsonl", "chat.jsonl"), dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 2U);
  EXPECT_EQ(dump_json(got.rows[0].at("messages")),
            R"([{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}])");
  EXPECT_EQ(*json_int(got.rows[0], "weight"), 2);
  EXPECT_EQ(
      dump_json(got.rows[1].at("messages")),
      R"([{"role":"system","content":"be kind"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}])");
}

TEST(Collect, ReadsMarkdownByHeadingAndHtmlInItsCharset) {
  const ScratchDir dir;
  put(dir / "a.md", "# One\ntext *one*\n# Two\ntext two\n");
  CollectSource source = source_of("markdown", "a.md");
  source.separator = "#";
  Collected got = collected(source, dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 2U);
  EXPECT_EQ(got.text(0), "One\ntext one\n");
  put(dir / "a.html", "<meta charset=gbk><p>\xD6\xD0\xCE\xC4</p>");
  got = collected(source_of("html", "a.html"), dir.path(), dir / "out.jsonl");
  EXPECT_EQ(got.text(0), "中文");
}

TEST(Collect, ReadsCompressedFiles) {
  const ScratchDir dir;
  JsonlWriter writer = *JsonlWriter::create(dir / "a.jsonl.zst");
  ASSERT_TRUE(writer.write(JsonObject{{"text", "packed"}}));
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(collected(source_of("jsonl", "a.jsonl.zst"), dir.path(), dir / "out.jsonl").text(0), "packed");
}

TEST(Collect, OneBadFileDoesNotStopTheOthers) {
  const ScratchDir dir;
  put(dir / "in/a.html", std::string(200000 * 5, ' ').replace(0, 0, ""));
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "<div>";
  put(dir / "in/b.html", deep + "x");
  put(dir / "in/c.html", "<p>good</p>");
  const Collected got = collected(source_of("html", "in/*.html"), dir.path(), dir / "out.jsonl");
  ASSERT_EQ(got.rows.size(), 1U);
  EXPECT_EQ(got.report.sources[0].files_bad, 1U);
  EXPECT_EQ(got.report.sources[0].problems[0].where, "in/b.html");
}

TEST(Collect, SaysWhatIsWrongWithASource) {
  const ScratchDir dir;
  put(dir / "empty.txt", " \n");
  const auto error_of = [&](const CollectSource& source) {
    CollectOptions options;
    options.sources = {source};
    const Result<CollectReport> report = collect(options, dir / "out.jsonl", dir.path());
    EXPECT_FALSE(report);
    EXPECT_FALSE(std::filesystem::exists(dir / "out.jsonl"));
    return report ? Error() : report.error();
  };
  EXPECT_EQ(error_of(source_of("text", "nothing/*")).code, ErrorCode::kNotFound);
  EXPECT_EQ(error_of(source_of("text", "empty.txt")).code, ErrorCode::kParse);
  const Error kind = error_of(source_of("markdwon", "empty.txt"));
  EXPECT_EQ(kind.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(kind.message.find("did you mean 'markdown'"), std::string::npos) << kind.message;
  CollectOptions none;
  EXPECT_EQ(collect(none, dir / "out.jsonl", dir.path()).error().code, ErrorCode::kInvalidArgument);
}

TEST(Collect, TheSameFilesGiveTheSameBytes) {
  const ScratchDir dir;
  for (int i = 0; i < 20; ++i) put(dir / ("in/" + std::to_string(i)), "text " + std::to_string(i));
  collected(source_of("text", "in/*"), dir.path(), dir / "a.jsonl.zst");
  collected(source_of("text", "in/*"), dir.path(), dir / "b.jsonl.zst");
  EXPECT_EQ(*read_file(dir / "a.jsonl.zst"), *read_file(dir / "b.jsonl.zst"));
}

TEST(Collect, ReadsRealDataSets) {
  VOLANT_DATA_OR_SKIP(data, "datasets");
  const ScratchDir dir;
  CollectSource poems = source_of("jsonl", (data / "tang-poems/*.json").string());
  poems.text_field = "title,author,paragraphs";
  EXPECT_EQ(collected(poems, dir.path(), dir / "out.jsonl").rows.size(), 11008U);
  CollectSource messages = source_of("csv", (data / "sms-spam/sms.tsv").string());
  messages.text_field = "#2";
  EXPECT_EQ(collected(messages, dir.path(), dir / "out.jsonl").rows.size(), 5574U);
}

}  // namespace
}  // namespace volant
