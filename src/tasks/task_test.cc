#include "tasks/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

Result<TaskRow> parsed(const char* text) { return parse_task_row(parse_json(text).value()); }

TEST(TaskRow, IsTheSameJsonAfterReadingAndWriting) {
  for (const char* text :
       {R"({"id":"17","input":{"text":"a"},"label":"cat"})",
        R"({"id":"17","input":{"age":3},"target":0.0E0})",
        R"({"id":"1","input":{"age":null},"label":"x","weight":2.5E0,"group":"g","time":"2020-01-02"})",
        R"({"input":{"text":""}})"}) {
    const Result<TaskRow> row = parsed(text);
    ASSERT_TRUE(row) << row.error().to_string();
    EXPECT_EQ(to_json(*row), parse_json(text).value());
  }
  EXPECT_FALSE(parsed(R"({"input":{}})")->target.has_value());
  EXPECT_EQ(*parsed(R"({"input":{},"target":0})")->target, 0);
}

TEST(TaskRow, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> kWrong[] = {
      {R"([])", "expected a row"},
      {R"({"label":"a"})", "'input' to be a JSON object, got nothing"},
      {R"({"input":"a"})", "'input' to be a JSON object, got \"a\""},
      {R"({"input":{},"label":7})", "expected 'label' to be a text, got 7"},
      {R"({"input":{},"lable":"7"})", "did you mean 'label'"},
      {R"({"input":{},"target":"7"})", "target"},
      {R"({"input":{},"label":"a","target":1})", "got both"},
      {R"({"input":{},"weight":-1})", "'weight' of at least 0"},
      {R"({"input":{},"id":1})", "'id'"}};
  for (const auto& [text, message] : kWrong) {
    const Result<TaskRow> row = parsed(text);
    ASSERT_FALSE(row) << text;
    EXPECT_EQ(row.error().code, ErrorCode::kParse);
    EXPECT_THAT(row.error().message, HasSubstr(message));
  }
}

TEST(Tasks, AreFoundByName) {
  ASSERT_EQ(tasks().size(), 3U);
  for (const Task* task : tasks()) EXPECT_EQ(find_task(task->name), task);
  EXPECT_EQ(find_task("sound"), nullptr);
}

TEST(Tasks, AnEncoderOfAnotherKindOrVersionIsRefusedByName) {
  const testing::ScratchDir dir;
  const auto error_of = [&](const char* json) {
    EXPECT_TRUE(write_file_atomic(dir / "encoder.json", json));
    const auto encoder = load_encoder(dir.path());
    return encoder ? std::string("loaded") : encoder.error().to_string();
  };
  EXPECT_THAT(error_of(R"({"task":"tabel","version":1})"), HasSubstr("did you mean 'table'"));
  EXPECT_THAT(error_of(R"({"task":"table","version":2})"), HasSubstr("expected version 1"));
  EXPECT_THAT(error_of(R"({"task":"table","version":1})"), HasSubstr("expected 'fields'"));
  EXPECT_THAT(error_of(R"({"task":"image","version":1,"width":100000,"height":1,"channels":1})"),
              HasSubstr("1 to 4096 pixels"));
  EXPECT_THAT(error_of("[]"), HasSubstr("encoder.json"));
}

}  // namespace
}  // namespace volant
