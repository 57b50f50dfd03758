// The engine's worker: puts waiting answers into free slots, and in each step computes
// one batch that holds the next token of every live answer, a piece of the prompts
// that are still being read, and a piece of a text to be scored. Keys and values stand in
// pages (page_pool.h): prompts that begin alike share them, also with answers that ended.
// When the pages run out, the youngest answer is put back and read again later. Next tokens may be guessed,
// and are then checked together: what is taken is what would have been written one by one.
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "models/instances/native.h"
#include "runtime/answer.h"
#include "runtime/draft_model.h"
#include "runtime/page_pool.h"

namespace volant {

struct SchedulerOptions {
  int n_slots = 8;            // answers that run at once
  int32_t n_page = 0;         // pages that the model's cache has; the longest text must fit
  size_t max_queue = 64;      // answers that wait
  int max_prompt_rows = 512;  // of a step
  bool guess_from_text = true;
  DraftModel* draft = nullptr;  // with a slot for each of n_slots; outlives the scheduler
};

class Scheduler {
 public:
  Scheduler(NativeModel& model, const SchedulerOptions& options);
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
    uint64_t id = 0;
    std::unique_ptr<Answer> answer;  // null: free
    PagePool::Sequence sequence;
    int64_t n_read = 0;          // ids of the answer whose keys and values stand in its pages
    int64_t share = 0;           // rows of its prompt that this step reads
    std::vector<int32_t> guess;  // of the ids that follow
    bool guess_by_model = false;

    int64_t n_left() const { return std::ssize(answer->ids()) - n_read; }
    bool writes() const { return n_left() == 1; }
    std::span<const int32_t> read_ids() const {
      return std::span(answer->ids()).first(static_cast<size_t>(n_read));
    }
  };
  struct Reading {
    std::span<const int32_t> ids;
    const OnRows* on_rows;
    PagePool::Sequence sequence;
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
    int64_t first_row = 0, n_rows = 0, n_out = 0;
  };

  // scheduler.cc: the queue and what comes and goes
  void work();
  bool wait_for_work();  // false: stop
  void admit();
  bool has_room_for(const PagePool::Sequence& sequence, int64_t n_pos) const;
  bool live() const;
  // False: a change waits for what is live.
  bool change_models();
  void end_cancelled();
  void release(Slot& slot, FinishReason reason);
  void put_back(Slot& slot);
  void finish_reading(Status status);
  void finish_change(Status status);
  void cancel_all();

  // scheduler_step.cc: the batch of a step
  void plan();
  void guess(std::span<Slot* const> writing);
  // How many rows each prompt reads in this step, `rows` together: half of them are the oldest's, so that it
  // comes to an end beside any number of short ones; the rest goes to those that need the fewest.
  void share_out(std::span<Slot* const> reading, int64_t rows) const;
  void plan_answer(Slot& slot);
  int64_t plan_reading(int64_t share);  // gives the rows that it planned, at most `share`
  // What others have read of the slot's prompt. False: an older answer is reading the same just now, to wait
  // for it is cheaper.
  bool find_prefix(Slot& slot, std::span<Slot* const> older);
  // Pages for n_pos positions of `sequence`, taken from the youngest answers when none are left. False:
  // `own`, whose sequence it is, was the youngest and was put back; null: nobody's.
  bool make_room(PagePool::Sequence& sequence, int64_t n_pos, const Slot* own);
  int64_t prompt_rows(int64_t n_prompt, bool beside_answers) const;  // of all prompts in a step
  // `n_out`: of the last rows, which are read out.
  void plan_rows(Slot* slot, const PagePool::Sequence& sequence, std::span<const int32_t> ids,
                 int64_t first_pos, int64_t n_out);
  void use_logits(std::span<const float> logits);
  // Answers choose their tokens: a vocabulary is long, so all threads share the work.
  void draw(std::span<const float> logits);
  void use_part(const Part& part, std::span<const float> logits, EngineStats& more);
  // What the answer has drawn.
  void write(Slot& slot, const Part& part, EngineStats& more);

  NativeModel& model_;
  const int64_t n_vocab_;
  const int64_t max_prompt_rows_;
  const int32_t n_page_;
  const bool guess_from_text_;
  DraftModel* const draft_;
  std::vector<Slot> slots_;
  PagePool pool_;
  const size_t max_jobs_;
  double seconds_per_row_ = 0;  // of the last large step; 0: not known yet

  mutable std::mutex mutex_;
  std::condition_variable work_came_, reading_done_, change_done_;
  bool stop_ = false;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, Answer*> jobs_;                        // waiting and live
  std::deque<std::pair<uint64_t, std::unique_ptr<Answer>>> waiting_;  // the oldest first
  std::deque<Reading*> readings_;
  std::deque<Change*> changes_;
  EngineStats stats_;

  // the batch of this step
  std::vector<Part> parts_;
  Reading* reading_ = nullptr;  // the first of readings_
  std::vector<int32_t> tokens_, pos_, seq_begin_, pages_, page_begin_, out_rows_, adapter_;
  std::thread worker_;
};

}  // namespace volant
