// What parity counts: divergence, agreement and errors of logits, and prompts that must be the same.
#include "runtime/parity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace volant {
namespace {

using ::testing::HasSubstr;

TEST(Parity, SumsAreDivergenceAgreementAndLargestError) {
  ParitySums sums;
  const std::vector<float> a{0, 0}, b{std::log(3.0F), 0};
  sums.add(a, b);  // 1/2, 1/2 against 3/4, 1/4
  EXPECT_NEAR(sums.kl, 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25), 1e-6);
  EXPECT_NEAR(sums.max_logit_error, std::log(3.0), 1e-6);
  const std::vector<float> c{1000, -1000}, d{-1000, 1000};
  sums.add(c, d);
  EXPECT_EQ(sums.positions, 2);
  EXPECT_EQ(sums.agreeing, 1);
  EXPECT_NEAR(sums.kl, 2000, 1);
}

TEST(Parity, PromptsAreTheSameIdsOrTheSameRefusal) {
  const PromptOf lengths = [](const JsonArray& messages) -> Result<std::vector<int32_t>> {
    std::vector<int32_t> ids;
    for (const Json& message : messages)
      ids.push_back(static_cast<int32_t>(message.at("content").as_string().size()));
    return ids;
  };
  const PromptOf no_system = [&](const JsonArray& messages) -> Result<std::vector<int32_t>> {
    if (messages[0].at("role") == "system") return fail(ErrorCode::kInvalidArgument, "no system messages");
    return lengths(messages);
  };
  const PromptOf one_more = [&](const JsonArray& messages) -> Result<std::vector<int32_t>> {
    std::vector<int32_t> ids = TRY(lengths(messages));
    if (messages.size() > 2) ids.push_back(1);
    return ids;
  };
  EXPECT_EQ(compare_prompts(lengths, lengths).value(), 4);
  EXPECT_EQ(compare_prompts(no_system, no_system).value(), 4);
  const auto refusal = [](const PromptOf& a, const PromptOf& b) {
    const auto compared = compare_prompts(a, b);
    EXPECT_FALSE(compared);
    EXPECT_EQ(compared.error().code, ErrorCode::kRefused);
    return compared.error().message;
  };
  EXPECT_THAT(refusal(lengths, no_system),
              HasSubstr("conversation 2: 'no system messages', originally 2 tokens"));
  EXPECT_THAT(refusal(lengths, one_more), HasSubstr("conversation 3: 4 tokens, originally 3 tokens"));
}

}  // namespace
}  // namespace volant
