#include "base/thread_pool.h"

#include <algorithm>

namespace volant {
namespace {

// About 20 microseconds of spinning, then the kernel: longer would take the core from others for nothing.
constexpr int kSpins = 2000;
// A thread that was held up leaves its rest to the others; the last piece is what they may wait for.
constexpr int64_t kPiecesPerThread = 16;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Asks for the next few lines of the first that is left; false when there is none.
bool ask_for_next(std::span<ThreadPool::Ahead> ahead) {
  constexpr int64_t kLine = 64, kStep = 16 * kLine;  // between two looks whether the wait is over
  for (ThreadPool::Ahead& each : ahead) {
    if (each.bytes <= 0) continue;
    for (int64_t at = 0; at < std::min(kStep, each.bytes); at += kLine)
      __builtin_prefetch(each.data + at, 0, 2);  // the second level cache
    each.data += kStep;
    each.bytes -= kStep;
    return true;
  }
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const auto n = static_cast<size_t>(std::clamp(n_threads <= 0 ? cores : n_threads, 1, 256));
  shares_ = std::vector<Share>(n);
  workers_.reserve(n - 1);
  for (size_t i = 1; i < n; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  loop_number_.fetch_add(1, std::memory_order_release);
  loop_number_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int64_t ThreadPool::piece_count(int64_t n, int64_t grain) const {
  const int64_t worthwhile = std::max<int64_t>(1, n / std::max<int64_t>(1, grain));
  return std::min(worthwhile, static_cast<int64_t>(size()) * kPiecesPerThread);
}

void ThreadPool::run(const Loop& loop, std::span<const Ahead> ahead) {
  loop_ = loop;
  for (int64_t t = 0; t < size(); ++t) {
    Share& share = shares_[static_cast<size_t>(t)];
    share.end = loop.pieces * (t + 1) / size();
    share.next.store(loop.pieces * t / size(), std::memory_order_relaxed);
    if (loop.says_ahead)
      std::ranges::copy(ahead.subspan(static_cast<size_t>(t) * kAheads, kAheads), share.ahead.begin());
  }
  uint32_t number = loop_number_.load(std::memory_order_relaxed) + 1;
  if (number == 0) number = 1;
  open_.store(number, std::memory_order_seq_cst);
  loop_number_.store(number, std::memory_order_release);
  loop_number_.notify_all();
  take_pieces(loop, 0);
  open_.store(0, std::memory_order_seq_cst);
  for (int spins = 0; inside_.load(std::memory_order_seq_cst) != 0; ++spins) {
    if (ask_for_next(shares_[0].ahead)) continue;
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
  look_ahead();
}

void ThreadPool::look_ahead() {
  constexpr int kSteps = 4;  // more would be waited for
  for (int i = 0; i < kSteps; ++i)
    if (!ask_for_next(shares_[0].ahead)) return;
}

void ThreadPool::take_pieces(const Loop& loop, size_t thread) {
  for (size_t i = 0; i < shares_.size(); ++i) {
    Share& share = shares_[(thread + i) % shares_.size()];
    for (;;) {
      const int64_t piece = share.next.fetch_add(1, std::memory_order_relaxed);
      if (piece >= share.end) break;
      loop.call(loop.body, loop.n * piece / loop.pieces, loop.n * (piece + 1) / loop.pieces);
    }
  }
}

uint32_t ThreadPool::wait_for_loop(uint32_t seen, Aheads& ahead) {
  for (int spins = 0;;) {
    const uint32_t now = loop_number_.load(std::memory_order_acquire);
    if (now != seen) return now;
    if (ask_for_next(ahead)) continue;
    if (busy_.load(std::memory_order_relaxed) > 0 && ++spins < kSpins) {
      pause();
    } else {
      loop_number_.wait(seen, std::memory_order_acquire);
    }
  }
}

void ThreadPool::work(size_t thread) {
  uint32_t seen = 0;
  Aheads ahead;
  for (;;) {
    seen = wait_for_loop(seen, ahead);
    if (stop_.load(std::memory_order_relaxed)) return;
    inside_.fetch_add(1, std::memory_order_seq_cst);
    if (open_.load(std::memory_order_seq_cst) == seen) {
      take_pieces(loop_, thread);
      if (loop_.says_ahead) ahead = shares_[thread].ahead;
    }
    inside_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace volant
