#include "cli/usage_error.h"

#include <gtest/gtest.h>

namespace volant::cli {
namespace {

class Usage : public ::testing::Test {
 protected:
  Usage() {
    eval_.add_option("--to", to_)->check(CLI::IsMember({"f32", "q8_0"}));
    eval_.add_option("--top-p", top_p_)->check(CLI::Range(0.0, 1.0));
    eval_.add_option("--steps", steps_)->check(CLI::PositiveNumber);
    eval_.add_option("--lr", lr_);
    eval_.add_option("--seed", seed_);
    eval_.add_option("--data", data_)->required();
    refuse_negative_counts(root_);
  }
  std::string parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());
    try {
      root_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return usage_error(root_, error).message;
    }
    return "";
  }

  CLI::App root_{"", "volant"};
  CLI::App& eval_ = *root_.add_subcommand("eval");
  std::string to_, data_;
  double top_p_ = 0, lr_ = 0;
  int64_t steps_ = 0;
  uint64_t seed_ = 0;
};

TEST_F(Usage, SaysWhatWasExpectedAndWhatWasGot) {
  EXPECT_EQ(parse({"eval", "--to", "q8"}), "--to: expected one of f32, q8_0, got 'q8', did you mean 'q8_0'?");
  EXPECT_EQ(parse({"eval", "--top-p", "2"}), "--top-p: expected 0 to 1, got '2'");
  EXPECT_EQ(parse({"eval", "--top-p", "abc"}), "--top-p: expected 0 to 1, got 'abc'");
  EXPECT_EQ(parse({"eval", "--steps", "0"}), "--steps: expected a number above 0, got '0'");
  EXPECT_EQ(parse({"eval", "--lr", "high"}), "--lr: expected a number, got 'high'");
  EXPECT_EQ(parse({"eval", "--seed", "1.5"}), "--seed: expected a whole number, 0 or more, got '1.5'");
  EXPECT_EQ(parse({"eval"}), "--data is required");
}

TEST_F(Usage, ACountIsNeverNegative) {
  EXPECT_EQ(parse({"eval", "--seed=-1"}), "--seed: expected a whole number, 0 or more, got '-1'");
  EXPECT_EQ(parse({"eval", "--seed=1", "--data", "x"}), "");
}

TEST_F(Usage, UnknownWordsNameTheNearest) {
  EXPECT_EQ(parse({"eval", "--data", "x", "--sead", "1"}), "unknown flag '--sead', did you mean '--seed'?");
  EXPECT_EQ(parse({"evla"}), "unknown command 'evla', did you mean 'eval'?");
}

TEST_F(Usage, FlagsOfNoUseAreRefusedByName) {
  ASSERT_EQ(parse({"eval", "--data", "x", "--seed", "2"}), "");
  EXPECT_TRUE(refuse_flags(eval_, {"--to", "--lr"}, "--data"));
  EXPECT_EQ(refuse_flags(eval_, {"--to", "--seed"}, "--data").error().message,
            "--seed is of no use with --data: leave it out");
  EXPECT_TRUE(refuse_flags_but(eval_, {"--data", "--seed"}, "--data"));
  EXPECT_FALSE(refuse_flags_but(eval_, {"--data"}, "--data"));
}

}  // namespace
}  // namespace volant::cli
