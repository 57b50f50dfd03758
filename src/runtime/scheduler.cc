#include "runtime/scheduler.h"

#include <algorithm>

#include "base/clock.h"

namespace volant {
namespace {

// Rows of prompts that a step reads. Alone, large pieces; beside live answers, what takes about
// kPieceSeconds, so that they hardly wait.
constexpr int64_t kMostRows = 512, kLeastRows = 32, kUnknownSpeedRows = 64;
constexpr double kPieceSeconds = 0.04;
constexpr int64_t kReadLogits = 4 << 20;  // numbers that a piece of a scored text may give

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

Scheduler::Scheduler(NativeModel& model, int n_slots, size_t max_queue)
    : model_(model),
      n_vocab_(model.config().vocab_size),
      slots_(static_cast<size_t>(n_slots)),
      max_jobs_(static_cast<size_t>(n_slots) + max_queue),
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
  Reading reading{.ids = ids, .on_rows = &on_rows, .adapter = adapter, .status = {}};
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
  stats.waiting = static_cast<int>(waiting_.size());
  stats.active = static_cast<int>(jobs_.size() - waiting_.size());
  return stats;
}

bool Scheduler::live() const {
  return std::ranges::any_of(slots_, [](const Slot& slot) { return slot.answer != nullptr; });
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
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
    for (Slot& slot : slots_) slot.cached.clear();
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
                                       .kv_slot = kv_slot_,
                                       .out_rows = out_rows_,
                                       .adapter = adapter_});
    if (tokens_.size() >= kLeastRows) {
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

// Each waiting answer goes to the free slot whose kept
// positions serve it most, else to the one unused for longest.
void Scheduler::admit() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty()) {
    Answer& answer = *waiting_.front().second;
    Slot* best = nullptr;
    size_t best_prefix = 0;
    for (Slot& slot : slots_) {
      if (slot.answer) continue;
      const size_t prefix = slot.adapter == answer.adapter() ? common_prefix(slot.cached, answer.ids()) : 0;
      const bool better =
          best == nullptr || prefix > best_prefix || (prefix == best_prefix && slot.used < best->used);
      if (better) best = &slot, best_prefix = prefix;
    }
    if (best == nullptr) return;
    // The last token is always read: its logits are needed.
    best->cached.resize(std::min(best_prefix, answer.ids().size() - 1));
    best->adapter = answer.adapter();
    best->id = waiting_.front().first;
    best->answer = std::move(waiting_.front().second);
    best->used = ++slot_uses_;
    best->answer->mark_start();
    waiting_.pop_front();
  }
}

void Scheduler::release(Slot& slot, FinishReason reason) {
  const std::unique_ptr<Answer> answer = std::move(slot.answer);
  {
    const std::lock_guard lock(mutex_);
    jobs_.erase(slot.id);
  }
  answer->finish(reason);
}

void Scheduler::plan_rows(Slot* slot, int32_t slot_index, std::span<const int32_t> ids, int64_t first_pos,
                          bool all_out) {
  if (seq_begin_.empty()) seq_begin_.push_back(0);
  const auto n = static_cast<int64_t>(ids.size());
  const bool last_out = slot != nullptr && first_pos + n == static_cast<int64_t>(slot->answer->ids().size());
  for (int64_t i = 0; i < n; ++i) {
    if (all_out || (last_out && i + 1 == n)) out_rows_.push_back(static_cast<int32_t>(tokens_.size()));
    tokens_.push_back(ids[static_cast<size_t>(i)]);
    pos_.push_back(static_cast<int32_t>(first_pos + i));
  }
  seq_begin_.push_back(static_cast<int32_t>(tokens_.size()));
  kv_slot_.push_back(slot_index);
  adapter_.push_back(slot != nullptr ? slot->adapter : reading_->adapter);
  parts_.push_back({slot, n, all_out ? n : static_cast<int64_t>(last_out)});
}

int64_t Scheduler::prompt_rows(bool beside_answers) const {
  if (!beside_answers) return kMostRows;
  if (seconds_per_row_ <= 0) return kUnknownSpeedRows;
  return static_cast<int64_t>(
      std::clamp(kPieceSeconds / seconds_per_row_, double{kLeastRows}, double{kMostRows}));
}

void Scheduler::plan() {
  parts_.clear();
  for (auto* list : {&tokens_, &pos_, &seq_begin_, &kv_slot_, &out_rows_, &adapter_}) list->clear();
  int64_t n_reading = 0, n_writing = 0;
  for (const Slot& slot : slots_) {
    if (!slot.answer) continue;
    const bool writes = slot.answer->ids().size() == slot.cached.size() + 1;
    (writes ? n_writing : n_reading) += 1;
  }
  {
    const std::lock_guard lock(mutex_);
    reading_ = readings_.empty() ? nullptr : readings_.front();
  }
  if (reading_ != nullptr) ++n_reading;
  const int64_t share = std::max(kLeastRows, prompt_rows(n_writing > 0) / std::max<int64_t>(1, n_reading));
  for (size_t s = 0; s < slots_.size(); ++s) {
    Slot& slot = slots_[s];
    if (!slot.answer) continue;
    const std::span<const int32_t> left = std::span(slot.answer->ids()).subspan(slot.cached.size());
    const auto n = std::min<size_t>(left.size(), static_cast<size_t>(share));
    plan_rows(&slot, static_cast<int32_t>(s), left.first(n), static_cast<int64_t>(slot.cached.size()), false);
  }
  if (reading_ != nullptr) {
    const int64_t most = std::clamp<int64_t>(kReadLogits / n_vocab_, 1, share);
    const std::span<const int32_t> left = reading_->ids.subspan(static_cast<size_t>(reading_->n_read));
    plan_rows(nullptr, static_cast<int32_t>(slots_.size()),
              left.first(std::min<size_t>(left.size(), static_cast<size_t>(most))), reading_->n_read, true);
  }
}

void Scheduler::use_logits(std::span<const float> logits) {
  int64_t row = 0;
  size_t token = 0;
  EngineStats more;
  for (const Part& part : parts_) {
    const auto first = static_cast<size_t>(row * n_vocab_);
    const auto part_logits = logits.subspan(first, static_cast<size_t>(part.n_out * n_vocab_));
    const auto n_rows = static_cast<size_t>(part.n_rows);
    if (part.slot == nullptr) {
      Reading& reading = *reading_;
      (*reading.on_rows)(reading.n_read, part_logits);
      reading.n_read += part.n_rows;
      if (reading.n_read == static_cast<int64_t>(reading.ids.size())) finish_reading({});
    } else {
      Slot& slot = *part.slot;
      const int64_t from_prompt = std::clamp<int64_t>(
          slot.answer->n_prompt() - static_cast<int64_t>(slot.cached.size()), 0, part.n_rows);
      more.prompt_tokens += static_cast<uint64_t>(from_prompt);
      slot.cached.insert(slot.cached.end(), tokens_.begin() + static_cast<std::ptrdiff_t>(token),
                         tokens_.begin() + static_cast<std::ptrdiff_t>(token + n_rows));
      if (part.n_out > 0) {
        const size_t before = slot.answer->ids().size();
        const std::optional<FinishReason> end = slot.answer->step(part_logits);
        more.completion_tokens += slot.answer->ids().size() - before;
        if (end) release(slot, *end);
      }
    }
    token += n_rows;
    row += part.n_out;
  }
  const std::lock_guard lock(mutex_);
  stats_.prompt_tokens += more.prompt_tokens;
  stats_.completion_tokens += more.completion_tokens;
}

void Scheduler::finish_reading(Status status) {
  {
    const std::lock_guard lock(mutex_);
    Reading* reading = readings_.front();
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
