// Every key that docs/tasks.md has in a table of [data] or [evaluate] is one that the programs read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tasks/split.h"
#include "tasks/task.h"
#include "wheel/predict/evaluate_section.h"

namespace volant::predict {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPage = "docs/tasks.md";

// Names between backticks in the first column of the tables below a heading; of `a = 1` it is a.
std::vector<std::string> documented(const std::string& page, const std::string& heading) {
  const size_t begin = page.find("\n## " + heading);
  EXPECT_NE(begin, std::string::npos) << heading;
  const std::string part = page.substr(begin, page.find("\n## ", begin + 1) - begin);
  std::vector<std::string> keys;
  const std::regex row("\n\\| ([^|]*) \\|"), key("`([a-z_]+)[` ]");
  for (std::sregex_iterator line(part.begin(), part.end(), row), end; line != end; ++line) {
    const std::string cell = (*line)[1];
    for (std::sregex_iterator name(cell.begin(), cell.end(), key); name != end; ++name)
      keys.push_back((*name)[1]);
  }
  return keys;
}

const Json kWrong = JsonArray{Json(JsonArray{Json(1)})};  // of no key the value

class Documented : public ::testing::Test {
 protected:
  void SetUp() override {
    const Result<std::string> page = read_file(kPage);
    if (!page) GTEST_SKIP() << "not run from the root of the sources";
    page_ = *page;
  }
  // What reading `data` says when a key of it has a value that it cannot have.
  static std::string error_of(const char* kind, JsonObject data, const std::string& key) {
    data[key] = kWrong;
    if (const auto split = take_split_options(data); !split) return split.error().message;
    const Status read = find_task(kind)->read(Json(data), ".", [](TaskRow, const char*) { return Status(); });
    return read ? "none" : read.error().message;
  }
  std::string page_;
};

TEST_F(Documented, KeysOfDataAreRead) {
  const struct {
    const char *heading, *kind;
    JsonObject data;
    size_t least;
  } sections[]{
      {"`[data]` of all kinds", "table", {{"train", "no.csv"}, {"label", "x"}}, 5},
      {"Images", "image", {{"format", "folders"}, {"train", "no"}}, 5},
      {"Tables", "table", {{"train", "no.csv"}, {"label", "x"}}, 13},
      {"Texts", "text", {{"train", "no.csv"}}, 14},
  };
  for (const auto& section : sections) {
    const std::vector<std::string> keys = documented(page_, section.heading);
    EXPECT_GE(keys.size(), section.least) << section.heading;
    for (const std::string& key : keys)
      EXPECT_THAT(error_of(section.kind, section.data, key),
                  HasSubstr("expected '" + key + "' in [data] to be"))
          << section.heading;
    EXPECT_THAT(error_of(section.kind, section.data, "nonsense"), HasSubstr("unknown key 'nonsense'"));
  }
}

TEST_F(Documented, KeysOfEvaluateAreRead) {
  const auto error_of_key = [](const std::string& key) {
    PredictSection section;
    section.kind = "table";
    section.problem = "binary";
    section.evaluate[key] = kWrong;
    const auto read = read_evaluation(section);
    return read ? std::string("none") : read.error().message;
  };
  const std::vector<std::string> keys = documented(page_, "`[evaluate]`");
  EXPECT_GE(keys.size(), 7U);
  for (const std::string& key : keys) {
    EXPECT_THAT(error_of_key(key), Not(HasSubstr("unknown key"))) << key;
    EXPECT_THAT(error_of_key(key), HasSubstr(key));
  }
  EXPECT_THAT(error_of_key("nonsense"), HasSubstr("unknown key 'nonsense'"));
}

}  // namespace
}  // namespace volant::predict
