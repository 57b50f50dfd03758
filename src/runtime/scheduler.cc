#include "runtime/scheduler.h"

#include <algorithm>

#include "base/clock.h"

namespace volant {

// Rows of a step from which on its time tells how long a row takes.
static constexpr size_t kTimedRows = 32;

Scheduler::Scheduler(NativeModel& model, const SchedulerOptions& options)
    : model_(model),
      n_vocab_(model.config().vocab_size),
      max_prompt_rows_(options.max_prompt_rows),
      n_page_(options.n_page),
      guess_from_text_(options.guess_from_text),
      draft_(options.draft),
      slots_(static_cast<size_t>(options.n_slots)),
      pool_(options.n_page),
      max_jobs_(static_cast<size_t>(options.n_slots) + options.max_queue),
      worker_([this] { work(); }) {}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_came_.notify_all();
  worker_.join();
}

Result<uint64_t> Scheduler::submit(std::unique_ptr<Answer> answer) {
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return fail(ErrorCode::kUnavailable, "the engine is closing");
    if (jobs_.size() >= max_jobs_) {
      return fail(ErrorCode::kUnavailable, "{} requests are live or wait already: try again later",
                  jobs_.size());
    }
    id = ++last_id_;
    jobs_.emplace(id, answer.get());
    waiting_.emplace_back(id, std::move(answer));
    ++stats_.requests;
  }
  work_came_.notify_one();
  return id;
}

void Scheduler::cancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = jobs_.find(id); found != jobs_.end()) found->second->cancel();
}

Status Scheduler::read_through(std::span<const int32_t> ids, const OnRows& on_rows, int32_t adapter) {
  Reading reading{.ids = ids, .on_rows = &on_rows, .sequence = {.adapter = adapter}, .status = {}};
  std::unique_lock lock(mutex_);
  if (stop_) return fail(ErrorCode::kUnavailable, "the engine is closing");
  readings_.push_back(&reading);
  work_came_.notify_one();
  reading_done_.wait(lock, [&] { return reading.done; });
  return reading.status;
}

Status Scheduler::change_model(const std::function<Status()>& run) {
  Change change{.run = &run, .status = {}};
  std::unique_lock lock(mutex_);
  if (stop_) return fail(ErrorCode::kUnavailable, "the engine is closing");
  changes_.push_back(&change);
  work_came_.notify_one();
  change_done_.wait(lock, [&] { return change.done; });
  return change.status;
}

EngineStats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.kv_pages = n_page_;
  stats.waiting = static_cast<int>(waiting_.size());
  stats.active = static_cast<int>(jobs_.size() - waiting_.size());
  return stats;
}

bool Scheduler::live() const {
  return std::ranges::any_of(slots_, [](const Slot& slot) { return slot.answer != nullptr; });
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  stats_.kv_pages_held = pool_.n_page() - pool_.n_available();
  const auto none = [&] { return waiting_.empty() && readings_.empty() && changes_.empty(); };
  if (!stop_ && none() && !live()) {
    model_.set_busy(false);
    work_came_.wait(lock, [&] { return stop_ || !none(); });
  }
  return !stop_;
}

bool Scheduler::change_models() {
  while (true) {
    const Change* change = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (changes_.empty()) return true;
      if (live() || !readings_.empty()) return false;
      change = changes_.front();
    }
    Status status = (*change->run)();
    pool_.clear();
    finish_change(std::move(status));
  }
}

void Scheduler::work() {
  while (wait_for_work()) {
    model_.set_busy(true);
    end_cancelled();
    if (change_models()) admit();
    plan();
    if (tokens_.empty()) continue;
    const double begin = steady_seconds();
    const auto logits = model_.logits({.tokens = tokens_,
                                       .pos = pos_,
                                       .seq_begin = seq_begin_,
                                       .kv_slot = {},
                                       .out_rows = out_rows_,
                                       .adapter = adapter_,
                                       .kv_pages = pages_,
                                       .kv_page_begin = page_begin_});
    if (tokens_.size() >= kTimedRows) {
      seconds_per_row_ = (steady_seconds() - begin) / static_cast<double>(tokens_.size());
    }
    use_logits(logits);
  }
  model_.set_busy(false);
  cancel_all();
}

void Scheduler::end_cancelled() {
  for (Slot& slot : slots_) {
    if (slot.answer && slot.answer->cancelled()) release(slot, FinishReason::kCancelled);
  }
  std::vector<std::unique_ptr<Answer>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (!it->second->cancelled()) {
        ++it;
        continue;
      }
      jobs_.erase(it->first);
      ended.push_back(std::move(it->second));
      it = waiting_.erase(it);
    }
  }
  for (const auto& answer : ended) answer->finish(FinishReason::kCancelled);
}

bool Scheduler::has_room_for(const PagePool::Sequence& sequence, int64_t n_pos) const {
  const auto missing = [](const PagePool::Sequence& of, int64_t n) {
    return std::max<int64_t>(0, (n + PagePool::kPage - 1) / PagePool::kPage - std::ssize(of.pages));
  };
  int64_t needed = missing(sequence, n_pos);
  for (const Slot& slot : slots_) {
    if (slot.answer) needed += missing(slot.sequence, std::ssize(slot.answer->ids()) + 1);
  }
  return needed <= pool_.n_available();
}

// The oldest first, as long as there are slots, and pages for what is to be read.
void Scheduler::admit() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty()) {
    const auto slot = std::ranges::find_if(slots_, [](const Slot& each) { return each.answer == nullptr; });
    if (slot == slots_.end()) return;
    Answer& answer = *waiting_.front().second;
    const std::span<const int32_t> ids = answer.ids();
    PagePool::Sequence sequence{.adapter = answer.adapter()};
    // The last token is always read: its logits are needed.
    const int64_t n_found = pool_.find_full(sequence, ids, std::ssize(ids) - 1);
    const bool alone = !live() && readings_.empty();
    if (!alone && !has_room_for(sequence, std::ssize(ids) + 1)) {
      pool_.release(sequence, ids.first(static_cast<size_t>(n_found)));
      return;
    }
    stats_.shared_tokens += static_cast<uint64_t>(n_found);
    slot->sequence = std::move(sequence);
    slot->n_read = n_found;
    slot->id = waiting_.front().first;
    slot->answer = std::move(waiting_.front().second);
    slot->answer->mark_start();
    waiting_.pop_front();
  }
}

void Scheduler::release(Slot& slot, FinishReason reason) {
  pool_.release(slot.sequence, slot.read_ids());
  const std::unique_ptr<Answer> answer = std::move(slot.answer);
  {
    const std::lock_guard lock(mutex_);
    jobs_.erase(slot.id);
  }
  answer->finish(reason);
}

void Scheduler::put_back(Slot& slot) {
  pool_.release(slot.sequence, slot.read_ids());
  const std::lock_guard lock(mutex_);
  ++stats_.preemptions;
  const auto after = std::ranges::find_if(waiting_, [&](const auto& each) { return each.first > slot.id; });
  waiting_.emplace(after, slot.id, std::move(slot.answer));
}

void Scheduler::finish_reading(Status status) {
  {
    const std::lock_guard lock(mutex_);
    Reading* reading = readings_.front();
    pool_.release(reading->sequence, {});
    readings_.pop_front();
    reading->status = std::move(status);
    reading->done = true;
  }
  reading_done_.notify_all();
}

void Scheduler::finish_change(Status status) {
  {
    const std::lock_guard lock(mutex_);
    Change* change = changes_.front();
    changes_.pop_front();
    change->status = std::move(status);
    change->done = true;
  }
  change_done_.notify_all();
}

void Scheduler::cancel_all() {
  for (Slot& slot : slots_) {
    if (slot.answer) release(slot, FinishReason::kCancelled);
  }
  std::deque<std::pair<uint64_t, std::unique_ptr<Answer>>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
    jobs_.clear();
  }
  for (const auto& [id, answer] : waiting) answer->finish(FinishReason::kCancelled);
  while (!readings_.empty()) finish_reading(fail(ErrorCode::kCancelled, "the engine is closing"));
  while (!changes_.empty()) finish_change(fail(ErrorCode::kCancelled, "the engine is closing"));
}

}  // namespace volant
