#include "runtime/stop_text.h"

#include <gtest/gtest.h>

namespace volant {
namespace {

// Pushes `text` in pieces of `size` bytes.
std::string shown(StopText& stop, const std::string& text, size_t size) {
  std::string all;
  for (size_t i = 0; i < text.size(); i += size) all += stop.push(text.substr(i, size));
  return all;
}

TEST(StopText, EndsBeforeTheStopHoweverTheTextIsCut) {
  for (size_t size = 1; size <= 20; ++size) {
    StopText stop({"\nUser:", "END"});
    EXPECT_EQ(shown(stop, "Hello\nUse it.\nUser: next END", size), "Hello\nUse it.");
    EXPECT_TRUE(stop.found());
    EXPECT_EQ(stop.finish(), "");
    EXPECT_EQ(stop.push("more"), "");
  }
}

TEST(StopText, HoldsBackOnlyWhatMayBecomeAStop) {
  StopText stop({"abcd"});
  EXPECT_EQ(stop.push("xab"), "x");
  EXPECT_EQ(stop.push("c"), "");
  EXPECT_EQ(stop.push("x"), "abcx");
  EXPECT_EQ(stop.push("aba"), "ab");
  EXPECT_FALSE(stop.found());
  EXPECT_EQ(stop.finish(), "a");
}

TEST(StopText, FirstOfSeveralStopsCounts) {
  StopText stop({"two", "one"});
  EXPECT_EQ(stop.push("say one two"), "say ");
}

TEST(StopText, WithoutStopsEverythingPasses) {
  StopText stop({""});
  EXPECT_EQ(stop.push("text"), "text");
  EXPECT_FALSE(stop.found());
}

}  // namespace
}  // namespace volant
