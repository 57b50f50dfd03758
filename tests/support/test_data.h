// Where the real weights, tokenizers and golden outputs are: the folder named by
// VOLANT_TEST_DATA, by default ../shared/data beside the checkout. Tests that need it
// skip with a clear word when it is absent.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

namespace volant::testing {
// The data folder, or nothing when there is none.
std::optional<std::filesystem::path> test_data();
// The root of the checkout.
std::filesystem::path source_dir();
}  // namespace volant::testing

// Declares `name` as the path of `relative` in the data folder, or skips the test.
#define VOLANT_DATA_OR_SKIP(name, relative)                                                     \
  const auto name##_root = ::volant::testing::test_data();                                      \
  if (!name##_root || !std::filesystem::exists(*name##_root / (relative)))                      \
    GTEST_SKIP() << "needs " << (relative) << " of the test data folder; set VOLANT_TEST_DATA"; \
  const std::filesystem::path name = *name##_root / (relative)
