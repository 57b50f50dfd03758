#include "data/row_reader.h"

#include <gtest/gtest.h>

#include "io/jsonl.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

// All rows as JSON, or the error after them.
std::vector<std::string> read_all(const Path& path, const RowLayout& layout = {}) {
  auto reader = RowReader::open(path, layout);
  if (!reader) return {"error: " + reader.error().to_string()};
  std::vector<std::string> out;
  while (true) {
    const auto row = reader->next();
    if (!row) out.push_back("error: " + row.error().to_string());
    if (!row || !*row) return out;
    out.push_back(dump_json(**row));
  }
}

TEST(RowReader, LinesAndArraysGiveTheSameRows) {
  const testing::ScratchDir scratch;
  const std::string a = R"({"text":"a, ] \" }"})", b = R"({"text":"b","tags":[1,{"x":"]"}]})";
  ASSERT_TRUE(write_file_atomic(scratch / "rows.jsonl", a + "\n\n" + b + "\n"));
  ASSERT_TRUE(write_file_atomic(scratch / "rows.json", "\n [" + a + ",\n" + b + " ]\n"));
  JsonlWriter packed = JsonlWriter::create(scratch / "rows.jsonl.zst").value();
  ASSERT_TRUE(packed.write(parse_json(a).value()) && packed.write(parse_json(b).value()) && packed.finish());
  for (const char* name : {"rows.jsonl", "rows.json", "rows.jsonl.zst"})
    EXPECT_EQ(read_all(scratch / name), (std::vector{a, b})) << name;
  ASSERT_TRUE(write_file_atomic(scratch / "none.json", "[]"));
  EXPECT_TRUE(read_all(scratch / "none.json").empty());
}

TEST(RowReader, ErrorsNameFileAndLine) {
  const testing::ScratchDir scratch;
  const auto error_of = [&](const char* name, const std::string& text) {
    EXPECT_TRUE(write_file_atomic(scratch / name, text));
    const auto rows = read_all(scratch / name);
    return rows.empty() ? std::string("no rows") : rows.back();
  };
  const std::string json = (scratch / "r.json").string(), jsonl = (scratch / "r.jsonl").string();
  EXPECT_NE(error_of("r.jsonl", "{\"text\":\"a\"}\n{\"txt\":1}\n").find(jsonl + ":2"), std::string::npos);
  EXPECT_NE(error_of("r.json", "[{\"text\":\"a\"},\n\n{\"txt\":1}]").find(json + ":3"), std::string::npos);
  for (const char* broken : {"[{\"text\":\"a\"}", "[{\"text\":\"a\"},", "[{\"text\":\"a\"} {\"text\":\"b\"}]",
                             "[{\"text\":\"a\"}] x", "[{\"text\":\"a\"},]]", "[,]", "[\"", "[{]}", "["}) {
    const std::string error = error_of("r.json", broken);
    EXPECT_TRUE(error.starts_with("error: ") && error.find(json) != std::string::npos)
        << broken << ": " << error;
  }
}

}  // namespace
}  // namespace volant
