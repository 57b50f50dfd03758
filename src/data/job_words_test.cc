#include "data/job_words.h"

#include <gtest/gtest.h>

namespace volant {
namespace {

std::string complaint(JsonObject job) {
  const Status checked = check_job_words(Json(std::move(job)));
  return checked ? "" : checked.error().message;
}

TEST(JobWords, AWordThatIsNoChoiceIsNamedWithItsKeyAndTheNearestChoice) {
  EXPECT_EQ(complaint({{"optimizer", "adamv"}}),
            "'optimizer': expected one of adamw, adam, lion, sgd, adafactor, muon, got 'adamv', did you mean "
            "'adamw'?");
  EXPECT_EQ(complaint({{"adapter", JsonObject{{"kind", "lroa"}}}}),
            "'adapter.kind': expected one of lora, rslora, dora, got 'lroa', did you mean 'lora'?");
  EXPECT_EQ(complaint({{"save_dtype", "int8"}}), "'save_dtype': expected one of f32, bf16, f16, got 'int8'");
}

TEST(JobWords, AWordMustBeText) { EXPECT_NE(complaint({{"schedule", 3}}), ""); }

TEST(JobWords, AnUnknownKeyIsNamedWithTheNearest) {
  EXPECT_EQ(complaint({{"optimiser", "adamw"}}), "unknown key 'optimiser', did you mean 'optimizer'?");
}

TEST(JobWords, WhatIsMissingOrRightPasses) {
  EXPECT_EQ(complaint({}), "");
  EXPECT_EQ(complaint({{"optimizer", "lion"},
                       {"schedule", "one_cycle"},
                       {"lr", 1e-3},
                       {"grpo", JsonObject{{"reward", "regex"}}}}),
            "");
}

}  // namespace
}  // namespace volant
