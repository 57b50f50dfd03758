#include <gmock/gmock.h>
#include <zlib.h>
#include <zstd.h>

#include "base/random.h"
#include "io/csv.h"
#include "io/jsonl.h"
#include "io/line_reader.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchDir;
using Strings = std::vector<std::string>;

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
std::string zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

Path put(const ScratchDir& scratch, const char* name, std::string_view bytes) {
  const Path path = scratch / name;
  write_file_atomic(path, bytes).value();
  return path;
}

Strings all_lines(LineReader reader) {
  Strings lines;
  while (const auto line = reader.next().value()) lines.emplace_back(*line);
  return lines;
}

TEST(LineReader, EndsOfLines) {
  EXPECT_THAT(all_lines(LineReader::from_text("a\r\n\nb", "t")), ElementsAre("a", "", "b"));
  EXPECT_THAT(all_lines(LineReader::from_text("a\n", "t")), ElementsAre("a"));
  EXPECT_THAT(all_lines(LineReader::from_text("", "t")), ElementsAre());
  EXPECT_THAT(all_lines(LineReader::from_text("\xEF\xBB\xBF"
                                              "a\n\xEF\xBB\xBF"
                                              "b",
                                              "t")),
              ElementsAre("a",
                          "\xEF\xBB\xBF"
                          "b"));
}

TEST(LineReader, CompressedFilesReadAsPlainOnes) {
  const ScratchDir scratch;
  Random random(1);
  std::string text;
  Strings expected;
  for (int i = 0; i < 5000; ++i) {  // lines of all lengths, over the bounds of pieces
    std::string line(random.below(i % 100 == 0 ? 400'000 : 300), static_cast<char>('a' + i % 26));
    text += line + "\n";
    expected.push_back(std::move(line));
  }
  const size_t half = text.size() / 2;
  const std::string_view view = text;
  for (const auto& [name, bytes] : std::initializer_list<std::pair<const char*, std::string>>{
           {"plain.txt", text},
           {"a.gz", gzip(text)},
           {"a.zst", zstd(text)},
           {"two.gz", gzip(view.substr(0, half)) + gzip(view.substr(half))},
           {"padded.gz", gzip(text) + std::string(512, '\0')},
           {"two.zst", zstd(view.substr(0, half)) + zstd(view.substr(half))}}) {
    const Path path = put(scratch, name, bytes);
    ASSERT_EQ(all_lines(LineReader::open(path).value()), expected) << name;
    ASSERT_EQ(read_content(path).value(), text) << name;
  }
}

TEST(LineReader, EmptyCompressedFileHasNoLines) {
  const ScratchDir scratch;
  EXPECT_EQ(read_content(put(scratch, "e.gz", gzip(""))).value(), "");
  EXPECT_EQ(read_content(put(scratch, "e.zst", zstd(""))).value(), "");
  EXPECT_EQ(read_content(put(scratch, "none.gz", "")).error().code, ErrorCode::kParse);
  EXPECT_EQ(read_content(put(scratch, "none.zst", "")).error().code, ErrorCode::kParse);
}

TEST(LineReader, CutOffCompressionIsAnError) {
  const ScratchDir scratch;
  std::string text;
  Random random(2);
  for (int i = 0; i < 2000; ++i) text += std::to_string(random.next()) + "\n";
  for (const auto& [name, bytes] : std::initializer_list<std::pair<const char*, std::string>>{
           {"a.gz", gzip(text)}, {"a.zst", zstd(text)}}) {
    for (const size_t length : {size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
      const Error error = read_content(put(scratch, name, std::string_view(bytes).substr(0, length))).error();
      EXPECT_EQ(error.code, ErrorCode::kParse) << name << length;
      EXPECT_THAT(error.to_string(), HasSubstr(name));
    }
    std::string damaged = bytes;
    damaged[bytes.size() / 2] = static_cast<char>(damaged[bytes.size() / 2] ^ 0x55);
    (void)read_content(put(scratch, name, damaged));  // zstd frames without checksum may pass; no crash
    EXPECT_EQ(read_content(put(scratch, name, "not compressed at all")).error().code, ErrorCode::kParse);
    EXPECT_EQ(read_content(put(scratch, name, bytes + "rubbish after it")).error().code, ErrorCode::kParse);
  }
}

TEST(LineReader, DecompressionBombStopsAtTheLimit) {
  const ScratchDir scratch;
  const std::string zeros(64 << 20, '0');
  for (const Path& path : {put(scratch, "b.gz", gzip(zeros)), put(scratch, "b.zst", zstd(zeros))}) {
    EXPECT_LT(volant::file_size(path).value(), 100'000U);
    EXPECT_EQ(read_content(path, 1 << 20).error().code, ErrorCode::kLimit);
    LineReader lines = LineReader::open(path, {.max_line_bytes = 1 << 20}).value();
    EXPECT_EQ(lines.next().error().code, ErrorCode::kLimit);
    LineReader total = LineReader::open(path, {.max_total_bytes = 1 << 20}).value();
    EXPECT_EQ(total.next().error().code, ErrorCode::kLimit);
    EXPECT_FALSE(total.next().value().has_value());
  }
}

TEST(LineReader, GoesOnAfterALineThatIsTooLong) {
  LineReader reader = LineReader::from_text("ok\n" + std::string(1'000'000, 'x') + "\nafter\n", "t",
                                            {.max_line_bytes = 1000});
  EXPECT_EQ(reader.next().value(), "ok");
  const Error error = reader.next().error();
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_EQ(error.where, "t:2");
  EXPECT_EQ(reader.next().value(), "after");
  EXPECT_EQ(reader.line(), 3U);
  EXPECT_FALSE(reader.next().value().has_value());
}

TEST(Jsonl, WritesAndReadsEveryCompression) {
  const ScratchDir scratch;
  for (const char* name : {"r.jsonl", "r.jsonl.gz", "r.jsonl.zst"}) {
    JsonlWriter writer = JsonlWriter::create(scratch / name).value();
    for (int i = 0; i < 20'000; ++i)
      ASSERT_TRUE(writer.write(JsonObject{{"n", i}, {"text", "字\n\"quoted\""}}));
    EXPECT_FALSE(std::filesystem::exists(scratch / name));
    ASSERT_TRUE(writer.finish());
    const std::vector<Json> rows = read_jsonl(scratch / name).value();
    ASSERT_EQ(rows.size(), 20'000U) << name;
    EXPECT_EQ(rows[19'999].at("n").as_int64(), 19'999);
    EXPECT_EQ(rows[7].at("text").as_string(), "字\n\"quoted\"");
  }
}

TEST(Jsonl, SameRowsGiveTheSameBytes) {
  const ScratchDir scratch;
  for (const char* name : {"a.gz", "b.gz", "a.zst", "b.zst"}) {
    JsonlWriter writer = JsonlWriter::create(scratch / name).value();
    ASSERT_TRUE(writer.write(JsonObject{{"x", 1}}));
    ASSERT_TRUE(writer.finish());
  }
  EXPECT_EQ(read_file(scratch / "a.gz").value(), read_file(scratch / "b.gz").value());
  EXPECT_EQ(read_file(scratch / "a.zst").value(), read_file(scratch / "b.zst").value());
}

TEST(Jsonl, UnfinishedWriterLeavesNothing) {
  const ScratchDir scratch;
  {
    JsonlWriter writer = JsonlWriter::create(scratch / "r.jsonl.zst").value();
    ASSERT_TRUE(writer.write(JsonObject{{"x", 1}}));
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(Jsonl, BadLineNamesFileAndLineAndIsPassedOver) {
  const ScratchDir scratch;
  const Path path =
      put(scratch, "rows.jsonl",
          "{\"a\": 1}\r\n\n{\"a\": \n{\"a\": 2}\n" + std::string(100, '[') + "\n{\"a\":\"\xFF\"}\n3\n");
  JsonlReader reader = JsonlReader::open(path).value();
  EXPECT_EQ(reader.next().value()->at("a").as_int64(), 1);
  const Error error = reader.next().error();
  EXPECT_EQ(error.code, ErrorCode::kParse);
  EXPECT_THAT(error.where, HasSubstr("rows.jsonl:3"));
  EXPECT_EQ(reader.next().value()->at("a").as_int64(), 2);
  EXPECT_EQ(reader.line(), 4U);
  EXPECT_FALSE(reader.next());  // nested 100 deep
  EXPECT_FALSE(reader.next());  // not UTF-8
  EXPECT_EQ(*reader.next().value(), Json(3));
  EXPECT_FALSE(reader.next().value().has_value());
}

std::vector<Strings> csv(const std::string& text, CsvOptions options = {}) {
  CsvReader reader = CsvReader::from_text(text, "t.csv", options).value();
  std::vector<Strings> rows;
  while (const auto record = reader.next().value()) rows.push_back(record->fields);
  return rows;
}

TEST(Csv, QuotedFieldsHoldSeparatorsQuotesAndLineBreaks) {
  CsvReader reader =
      CsvReader::from_text("name,text\r\n\"a,b\",\"say \"\"hi\"\"\r\nagain\"\r\n,\"\"\r\n\r\nlast,x", "t.csv")
          .value();
  EXPECT_THAT(reader.header(), ElementsAre("name", "text"));
  const CsvRecord first = *reader.next().value();
  EXPECT_THAT(first.fields, ElementsAre("a,b", "say \"hi\"\r\nagain"));
  EXPECT_EQ(first.line, 2U);
  const CsvRecord second = *reader.next().value();
  EXPECT_THAT(second.fields, ElementsAre("", ""));
  EXPECT_EQ(second.line, 4U);
  EXPECT_THAT(reader.next().value()->fields, ElementsAre("last", "x"));
  EXPECT_FALSE(reader.next().value().has_value());
}

TEST(Csv, FindsTheSeparator) {
  EXPECT_THAT(csv("a;b\n1,5;2\n3,5;4\n"), ElementsAre(Strings{"1,5", "2"}, Strings{"3,5", "4"}));
  EXPECT_THAT(csv("a\tb\n1, 2\t3\n"), ElementsAre(Strings{"1, 2", "3"}));
  EXPECT_THAT(csv("\"a;b;c\",d\n1,2\n"), ElementsAre(Strings{"1", "2"}));
  EXPECT_THAT(csv("only\n1\n"), ElementsAre(Strings{"1"}));
}

TEST(Csv, QuotesCanBePlainText) {
  EXPECT_THAT(csv("a\tb\n\"x\ty\n", {.quote = 0}), ElementsAre(Strings{"\"x", "y"}));
  EXPECT_THAT(csv("a,b\n5\" disk,y\n"), ElementsAre(Strings{"5\" disk", "y"}));
}

TEST(Csv, ErrorsNameTheLineAndTheReaderGoesOn) {
  CsvReader reader = CsvReader::from_text("a,b\n1\n2,3\n\"x\"y,4\n5,6\n\"open,7\n", "t.csv").value();
  const Error short_record = reader.next().error();
  EXPECT_EQ(short_record.to_string(), "t.csv:2: expected 2 fields as in the first record, got 1");
  EXPECT_THAT(reader.next().value()->fields, ElementsAre("2", "3"));
  EXPECT_EQ(reader.next().error().where, "t.csv:4");
  EXPECT_THAT(reader.next().value()->fields, ElementsAre("5", "6"));
  EXPECT_EQ(reader.next().error().where, "t.csv:6");
  EXPECT_FALSE(reader.next().value().has_value());
}

TEST(Csv, ColumnsAreFoundByName) {
  const CsvReader reader = CsvReader::from_text("id,review\n", "t.csv").value();
  EXPECT_EQ(reader.column("review").value(), 1U);
  EXPECT_EQ(reader.column("reviw").error().message, "expected a column 'reviw', did you mean 'review'?");
  EXPECT_EQ(CsvReader::from_text("a,a\n", "t").error().code, ErrorCode::kParse);
  EXPECT_TRUE(CsvReader::from_text("", "t").value().header().empty());
}

TEST(Csv, LimitsHold) {
  EXPECT_EQ(CsvReader::from_text(std::string(5000, ','), "t").error().code, ErrorCode::kLimit);
  CsvReader reader =
      CsvReader::from_text("a\n\"" + std::string(3000, '\n'), "t", {.max_record_bytes = 1000}).value();
  EXPECT_EQ(reader.next().error().code, ErrorCode::kParse);
  CsvReader lines = CsvReader::from_text("a\n\"" + std::string(100, 'x') + "\n" + std::string(950, 'y'), "t",
                                         {.max_record_bytes = 1000})
                        .value();
  EXPECT_EQ(lines.next().error().code, ErrorCode::kLimit);
}

// Whatever fields are written comes back, for every separator and line end.
TEST(Csv, RandomRecordsSurviveTheWayThere) {
  Random random(7);
  const std::string alphabet = "ab\"\n\r,;\t 字";
  for (int round = 0; round < 300; ++round) {
    const char separator = ",;\t"[random.below(3)];
    const std::string end = random.below(2) == 0 ? "\n" : "\r\n";
    const size_t columns = 1 + random.below(4);
    std::vector<Strings> rows;
    std::string text;
    for (size_t r = 0; r < 1 + random.below(5); ++r) {
      rows.emplace_back();
      for (size_t c = 0; c < columns; ++c) {
        std::string field, quoted;
        for (uint64_t n = random.below(6); n > 0; --n) field += alphabet[random.below(alphabet.size())];
        for (const char x : field) quoted += x == '"' ? std::string("\"\"") : std::string(1, x);
        text += (c > 0 ? std::string(1, separator) : "") + "\"" + quoted + "\"";
        rows.back().push_back(std::move(field));
      }
      text += end;
    }
    ASSERT_EQ(csv(text, {.separator = separator, .header = false}), rows) << text;
  }
}

}  // namespace
}  // namespace volant
