// A model as judge over the server's own API: a client of ours, our server, a real model.
#include "eval/suites/judge.h"

#include <gmock/gmock.h>

#include "server/server.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

TEST(JudgeOverHttp, VerdictsComeFromTheServedModel) {
  VOLANT_DATA_OR_SKIP(model, "models/minimind2-small");
  ServerOptions options;
  options.http.port = 0;
  options.models.engine.n_threads = 2;
  options.model = model;
  const auto server = Server::start(options, nullptr).value();
  const std::vector<JudgeRow> rows{
      {.id = "sky", .question = "天空是蓝色的吗？", .answers = {"是"}, .human = 1}};
  const std::string url = fmt::format("http://127.0.0.1:{}/v1", server->port());
  const Result<JudgeReport> report = judge(rows, {.url = url, .model = "minimind2-small"});
  // A small model judges badly, but in the form that was asked for.
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->unreadable, 0);
  EXPECT_EQ(report->compared, 1);
  EXPECT_THAT(report->verdicts[0].said, HasSubstr("VERDICT: "));
  EXPECT_TRUE(report->verdicts[0].verdict.has_value());
  const Error error = judge(rows, {.url = url, .model = "somebody-else"}).error();
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_THAT(error.to_string(), HasSubstr("somebody-else"));
}

}  // namespace
}  // namespace volant
