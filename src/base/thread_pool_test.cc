#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

namespace volant {
namespace {

TEST(ThreadPool, CoversEveryIndexOnceForAllSizes) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t n : {0, 1, 2, 3, 7, 16, 1000}) {
      for (const int64_t grain : {1, 4, 100000}) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
        pool.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) hits[static_cast<size_t>(i)]++;
        });
        for (const auto& hit : hits) EXPECT_EQ(hit.load(), 1);
      }
    }
  }
}

TEST(ThreadPool, ThousandsOfShortLoopsSeeEachOthersWrites) {
  ThreadPool pool(4);
  const ThreadPool::Busy busy(pool);
  std::vector<int64_t> values(64, 0);
  for (int round = 0; round < 5000; ++round) {
    pool.parallel_for(64, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
    });
  }
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], static_cast<int64_t>(i) * 5000);
}

TEST(ThreadPool, PiecesOfAThreadThatIsHeldUpAreTakenByOthers) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  pool.parallel_for(12, 1, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(end, begin + 1);
    if (begin == 0) {  // the caller's first piece ends when all others have
      while (done.load() < 11) std::this_thread::yield();
    }
    done++;
  });
  EXPECT_EQ(done.load(), 12);
}

TEST(ThreadPool, SleepingWorkersUseNoProcessorTime) {
  ThreadPool pool(4);
  pool.parallel_for(64, 1, [](int64_t, int64_t) {});
  const timespec nap{0, 200'000'000};
  nanosleep(&nap, nullptr);
  const std::clock_t before = std::clock();
  nanosleep(&nap, nullptr);
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used, 0.02);
}

TEST(ThreadPool, WhatIsAheadMayBeGoneAndChangesNothing) {
  ThreadPool pool(3);
  const ThreadPool::Busy busy(pool);
  std::vector<ThreadPool::Ahead> ahead(static_cast<size_t>(3 * ThreadPool::kAheads));
  for (size_t i = 0; i < ahead.size(); ++i) {
    const std::vector<std::byte> gone(size_t{1} << 20);  // no longer mapped when it is asked for
    ahead[i] = {gone.data(), static_cast<int64_t>(1000 * i)};
  }
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::vector<std::atomic<int>> seen(1000);
    const auto count = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    };
    pool.parallel_for(1000, 1, count, repeat % 3 == 0 ? std::span<const ThreadPool::Ahead>() : ahead);
    pool.look_ahead();
    for (const auto& each : seen) ASSERT_EQ(each, 1);
  }
}

}  // namespace
}  // namespace volant
