// Threads that share the loops of one caller. Between loops the workers spin only while the caller holds a
// Busy (a forward pass runs and the next loop comes within microseconds); otherwise they sleep and cost
// nothing. Each thread begins with its own run of neighbouring pieces, so that it reads memory as one stream;
// who is done takes what others have left, and a worker that is late is not waited for. One caller at a time;
// bodies must not throw and must not call the pool.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

namespace volant {

class ThreadPool {
 public:
  // `n_threads` including the caller; 0: as many as the machine has cores.
  explicit ThreadPool(int n_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Memory that a thread will read in the loop that follows.
  struct Ahead {
    const std::byte* data = nullptr;
    int64_t bytes = 0;
  };
  static constexpr int kAheads = 8;

  // Calls body(begin, end) on pieces that cover [0, n) once each. Where the pieces
  // begin depends on n, grain and the pool's size alone; which thread takes a
  // piece does not matter to the result. `grain`: the least worth a piece.
  // `ahead`: kAheads for each thread, read in a later loop; who has nothing left to do brings them near while
  // it waits, until another loop says others. They may be gone by then.
  template <class Body>
  void parallel_for(int64_t n, int64_t grain, const Body& body, std::span<const Ahead> ahead = {}) {
    if (n <= 0) return;
    const int64_t pieces = piece_count(n, grain);
    if (pieces == 1 || workers_.empty()) {
      body(int64_t{0}, n);
      return;
    }
    const Loop loop{&call<Body>, &body, n, pieces, !ahead.empty()};
    run(loop, ahead);
  }

  // The caller, between two loops, asks for a few lines of what is ahead: they come while it does other
  // things.
  void look_ahead();

  // Into how many pieces parallel_for cuts: n * i / count to n * (i + 1) / count, and thread t begins with
  // piece count * t / size().
  int64_t piece_count(int64_t n, int64_t grain) const;

  // While one lives, workers wait for the next loop with a short spin.
  class Busy {
   public:
    explicit Busy(ThreadPool& pool) : pool_(pool) { pool_.busy_.fetch_add(1, std::memory_order_relaxed); }
    ~Busy() { pool_.busy_.fetch_sub(1, std::memory_order_relaxed); }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    ThreadPool& pool_;
  };

 private:
  struct Loop {
    void (*call)(const void* body, int64_t begin, int64_t end);
    const void* body;
    int64_t n, pieces;
    bool says_ahead;
  };
  template <class Body>
  static void call(const void* body, int64_t begin, int64_t end) {
    (*static_cast<const Body*>(body))(begin, end);
  }
  using Aheads = std::array<Ahead, kAheads>;
  // A thread's run of pieces, and what it reads after it.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
    alignas(64) Aheads ahead;
  };
  void run(const Loop& loop, std::span<const Ahead> ahead);
  void take_pieces(const Loop& loop, size_t thread);  // thread 0 is the caller
  void work(size_t thread);
  // Waits until the loop number is another than `seen`; gives the new one. Brings `ahead` near meanwhile.
  uint32_t wait_for_loop(uint32_t seen, Aheads& ahead);

  Loop loop_{};
  alignas(64) std::atomic<uint32_t> loop_number_{0};
  std::vector<Share> shares_;
  alignas(64) std::atomic<uint32_t> open_{0};  // number of the loop that may be entered; 0: none
  std::atomic<int> inside_{0};                 // workers that are in it or just looking
  alignas(64) std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace volant
