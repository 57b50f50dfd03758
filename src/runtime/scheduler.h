// The engine's worker: puts waiting answers into free slots, and in each step computes
// one batch that holds the next token of every live answer, a piece of the prompts
// that are still being read, and a piece of a text to be scored. A slot keeps its
// positions after an answer: the next prompt that begins alike goes on from there.
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "models/instances/native.h"
#include "runtime/answer.h"

namespace volant {

class Scheduler {
 public:
  // The model's cache holds n_slots + 1 sequences: the last is for texts that are read through.
  Scheduler(NativeModel& model, int n_slots, size_t max_queue);
  ~Scheduler();

  // kUnavailable when slots and queue are full.
  Result<uint64_t> submit(std::unique_ptr<Answer> answer);
  void cancel(uint64_t id);
  // Reads a text, gives the logits of its rows piece by piece to `on_rows(first_row, logits)` on the worker's
  // thread, and waits for the end. kCancelled when the engine is closed meanwhile.
  using OnRows = std::function<void(int64_t first_row, std::span<const float> logits)>;
  Status read_through(std::span<const int32_t> ids, const OnRows& on_rows, int32_t adapter = 0);
  // Runs `change` on the worker's thread when no answer is live and no text is read, forgets all kept
  // positions, and waits for the end. Answers that wait do not start before. kCancelled as above.
  Status change_model(const std::function<Status()>& change);
  EngineStats stats() const;

 private:
  struct Slot {
    std::vector<int32_t> cached;  // ids whose keys and values it holds
    int32_t adapter = 0;          // that made them
    uint64_t id = 0;
    std::unique_ptr<Answer> answer;
    uint64_t used = 0;  // when it was given out last
  };
  struct Reading {
    std::span<const int32_t> ids;
    const OnRows* on_rows;
    int32_t adapter = 0;
    int64_t n_read = 0;
    bool done = false;
    Status status;
  };
  struct Change {
    const std::function<Status()>* run;
    bool done = false;
    Status status;
  };
  // Rows of one sequence in the batch of this step.
  struct Part {
    Slot* slot = nullptr;  // null: the text that is read through
    int64_t n_rows = 0, n_out = 0;
  };

  void work();
  bool wait_for_work();  // false: stop
  void admit();
  bool live() const;
  // False: a change waits for what is live.
  bool change_models();
  void end_cancelled();
  void release(Slot& slot, FinishReason reason);
  void plan();
  int64_t prompt_rows(bool beside_answers) const;  // of all prompts in a step
  void plan_rows(Slot* slot, int32_t slot_index, std::span<const int32_t> ids, int64_t first_pos,
                 bool all_out);
  void use_logits(std::span<const float> logits);
  void finish_reading(Status status);
  void finish_change(Status status);
  void cancel_all();

  NativeModel& model_;
  const int64_t n_vocab_;
  std::vector<Slot> slots_;
  const size_t max_jobs_;
  uint64_t slot_uses_ = 0;
  double seconds_per_row_ = 0;  // of the last large step; 0: not known yet

  mutable std::mutex mutex_;
  std::condition_variable work_came_, reading_done_, change_done_;
  bool stop_ = false;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, Answer*> jobs_;  // waiting and live
  std::deque<std::pair<uint64_t, std::unique_ptr<Answer>>> waiting_;
  std::deque<Reading*> readings_;
  std::deque<Change*> changes_;
  EngineStats stats_;

  // the batch of this step
  std::vector<Part> parts_;
  Reading* reading_ = nullptr;  // the first of readings_
  std::vector<int32_t> tokens_, pos_, seq_begin_, kv_slot_, out_rows_, adapter_;
  std::thread worker_;
};

}  // namespace volant
