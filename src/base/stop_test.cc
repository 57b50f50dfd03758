// A stop ends whoever sleeps until it. In processes of their own: a stop is for the whole program.
#include "base/stop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace volant {
namespace {

constexpr int kWoken = 42;

// Sleeps until `ask` has asked for the stop from another thread; ends the process.
[[noreturn]] void sleep_until(void (*ask)()) {
  std::thread([ask] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    if (stop_requested()) _exit(1);
    ask();
  }).detach();
  wait_for_stop();
  _exit(stop_requested() ? kWoken : 2);
}

TEST(StopDeathTest, ASignalEndsTheSleepAndTheSecondOneTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto terminate = [] { kill(getpid(), SIGTERM); };
  EXPECT_EXIT((install_stop_handler(), sleep_until(terminate)), ::testing::ExitedWithCode(kWoken), "");
  EXPECT_EXIT((install_stop_handler(), std::raise(SIGINT), std::raise(SIGINT), _exit(0)),
              ::testing::ExitedWithCode(128 + SIGINT), "");
}

TEST(StopDeathTest, ARequestEndsTheSleepAlsoWhenItCameBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(sleep_until(request_stop), ::testing::ExitedWithCode(kWoken), "");
  EXPECT_EXIT((request_stop(), wait_for_stop(), wait_for_stop(), _exit(kWoken)),
              ::testing::ExitedWithCode(kWoken), "");
}

}  // namespace
}  // namespace volant
