// Worker threads that run request handlers off the network thread. Bounded: a full queue is refused.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace volant {

class WorkerPool {
 public:
  WorkerPool(int n_threads, size_t max_queue);
  ~WorkerPool();  // runs what is queued, then joins
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Queues `task`; false when the queue is full.
  bool try_post(std::function<void()> task);
  // Queues `task` whatever the length: for the end of work that has been let in before.
  void post(std::function<void()> task);
  size_t waiting() const;
  void stop();

 private:
  void work();

  const size_t max_queue_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace volant
