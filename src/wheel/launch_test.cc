#include "wheel/launch.h"

#include <gtest/gtest.h>

namespace volant {
namespace {

TEST(ParseLaunch, NamesWhoStartsHowMany) {
  using Kind = Launch::Kind;
  for (const auto& [text, kind, n] :
       {std::tuple("", Kind::kOne, 0), std::tuple("local:4", Kind::kLocal, 4),
        std::tuple("slurm", Kind::kSlurm, 0), std::tuple("slurm:1024", Kind::kSlurm, 1024),
        std::tuple("mpi", Kind::kMpi, 0), std::tuple("mpi:2", Kind::kMpi, 2)}) {
    const Launch launch = parse_launch(text).value();
    EXPECT_EQ(launch.kind, kind) << text;
    EXPECT_EQ(launch.n, n) << text;
  }
}

TEST(ParseLaunch, AnythingElseIsRefusedWithTheChoices) {
  for (const char* text :
       {"local", "local:", "local:0", "local:-1", "local:2x", "local:1025", "ray:2", ":2", "slurm:"}) {
    const auto launch = parse_launch(text);
    ASSERT_FALSE(launch) << text;
    EXPECT_EQ(launch.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(launch.error().message.find("\"local:N\""), std::string::npos);
  }
}

}  // namespace
}  // namespace volant
