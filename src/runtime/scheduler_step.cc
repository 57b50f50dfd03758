// The batch of a step: which rows of which sequences, with pages for them, and what becomes of their logits.
#include <algorithm>

#include "base/check.h"
#include "runtime/scheduler.h"

namespace volant {
namespace {

// Rows of prompts that a step reads. Alone, as many as allowed; beside live answers, what takes about
// kPieceSeconds for one prompt, so that they hardly wait; for each further one as long again, up to
// kMostPieces, since rows are read faster together and more requests wait for them.
constexpr int64_t kLeastRows = 32, kUnknownSpeedRows = 64;
constexpr double kPieceSeconds = 0.04;
constexpr int64_t kMostPieces = 4;
constexpr int64_t kReadLogits = 4 << 20;  // numbers that a piece of a scored text may give
constexpr int64_t kGuessRows = 32;        // guessed tokens that are checked in a step, of all answers
// Common ids from which on it pays to wait until somebody else has read them.
constexpr int64_t kWorthWaiting = PagePool::kPage / 2;

}  // namespace

int64_t Scheduler::prompt_rows(int64_t n_prompt, bool beside_answers) const {
  if (!beside_answers) return max_prompt_rows_;
  const int64_t one = seconds_per_row_ > 0
                          ? static_cast<int64_t>(std::min(kPieceSeconds / seconds_per_row_, 1e6))
                          : kUnknownSpeedRows;
  return std::clamp(one * std::clamp<int64_t>(n_prompt, 1, kMostPieces),
                    std::min(kLeastRows, max_prompt_rows_), max_prompt_rows_);
}

void Scheduler::plan() {
  parts_.clear();
  for (auto* list : {&tokens_, &pos_, &pages_, &out_rows_, &adapter_}) list->clear();
  seq_begin_.assign(1, 0);
  page_begin_.assign(1, 0);
  std::vector<Slot*> slots;  // the oldest answer first
  for (Slot& slot : slots_) {
    if (slot.answer) slots.push_back(&slot);
  }
  std::ranges::sort(slots, {}, &Slot::id);
  std::vector<Slot*> writing, reading;
  for (size_t i = 0; i < slots.size(); ++i) {
    slots[i]->share = 0;
    if (!slots[i]->writes() && !find_prefix(*slots[i], std::span(slots).first(i))) continue;
    (slots[i]->writes() ? writing : reading).push_back(slots[i]);
  }
  {
    const std::lock_guard lock(mutex_);
    reading_ = readings_.empty() ? nullptr : readings_.front();
  }
  const int64_t n_prompt = std::ssize(reading) + (reading_ != nullptr ? 1 : 0);
  const int64_t rows = prompt_rows(n_prompt, !writing.empty());
  const int64_t least = std::min(kLeastRows, max_prompt_rows_);
  guess(writing);
  int64_t n_scored = 0;
  if (reading_ != nullptr) n_scored = plan_reading(std::max(least, rows / n_prompt));
  std::erase_if(reading, [](const Slot* slot) { return !slot->answer; });  // put back for the scored text
  share_out(reading, std::max(least, rows - n_scored));
  // Whoever is put back for want of pages is younger than those planned before.
  for (Slot* slot : slots) {
    if (slot->answer) plan_answer(*slot);
  }
}

void Scheduler::share_out(std::span<Slot* const> reading, int64_t rows) const {
  if (reading.empty()) return;
  Slot& oldest = *reading.front();
  oldest.share = std::min(oldest.n_left(), rows / 2);
  rows -= oldest.share;
  std::vector<Slot*> others(reading.begin() + 1, reading.end());
  std::ranges::stable_sort(others, {}, &Slot::n_left);
  for (Slot* slot : others) {
    slot->share = std::min(slot->n_left(), rows);
    rows -= slot->share;
  }
  oldest.share = std::min(oldest.n_left(), oldest.share + rows);
}

int64_t Scheduler::plan_reading(int64_t share) {
  const int64_t left = std::ssize(reading_->ids) - reading_->n_read;
  const int64_t n = std::min(left, std::clamp<int64_t>(kReadLogits / n_vocab_, 1, share));
  make_room(reading_->sequence, reading_->n_read + n, nullptr);
  plan_rows(nullptr, reading_->sequence,
            reading_->ids.subspan(static_cast<size_t>(reading_->n_read), static_cast<size_t>(n)),
            reading_->n_read, n);
  return n;
}

void Scheduler::guess(std::span<Slot* const> writing) {
  const int64_t share = kGuessRows / std::max<int64_t>(1, std::ssize(writing));
  std::vector<DraftModel::Text> texts;
  std::vector<Slot*> asked;
  for (Slot* slot : writing) {
    Answer& answer = *slot->answer;
    slot->guess.clear();
    slot->guess_by_model = false;
    // The token after the guessed ones comes in any case.
    const int64_t most = std::min(share, answer.n_more() - 1);
    if (most < 1) continue;
    if (guess_from_text_) slot->guess = answer.from_text().guess(answer.ids(), most);
    if (draft_ == nullptr || !slot->guess.empty()) continue;
    const int64_t length = std::min(most, answer.by_model().next());
    answer.by_model().pass();
    if (length < 1) continue;
    texts.push_back(
        {.slot = static_cast<int>(slot - slots_.data()), .ids = answer.ids(), .most = length, .guess = {}});
    asked.push_back(slot);
  }
  if (texts.empty()) return;
  draft_->guess(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    asked[i]->guess = std::move(texts[i].guess);
    asked[i]->guess_by_model = true;
  }
}

void Scheduler::plan_answer(Slot& slot) {
  if (slot.writes()) {
    // Guesses are worth no other answer's pages.
    const auto n_guess = std::ssize(slot.guess);
    if (n_guess > 0 && !pool_.extend(slot.sequence, slot.n_read + 1 + n_guess)) slot.guess.clear();
    if (!make_room(slot.sequence, slot.n_read + 1, &slot)) return;
    std::vector<int32_t> rows{slot.answer->ids().back()};
    rows.insert(rows.end(), slot.guess.begin(), slot.guess.end());
    return plan_rows(&slot, slot.sequence, rows, slot.n_read, std::ssize(rows));
  }
  const int64_t n = slot.share;
  if (n == 0 || !make_room(slot.sequence, slot.n_read + n, &slot)) return;
  plan_rows(&slot, slot.sequence,
            std::span(slot.answer->ids()).subspan(static_cast<size_t>(slot.n_read), static_cast<size_t>(n)),
            slot.n_read, n == slot.n_left() ? 1 : 0);
}

bool Scheduler::find_prefix(Slot& slot, std::span<Slot* const> older) {
  PagePool::Sequence& own = slot.sequence;
  const std::span<const int32_t> ids = slot.answer->ids();
  const int64_t most = std::ssize(ids) - 1;  // the last token is always read: its logits are needed
  if (slot.n_read != own.n_full * PagePool::kPage || own.n_full != std::ssize(own.pages)) return true;
  const auto found_up_to = [&](int64_t n_pos) {
    const std::lock_guard lock(mutex_);
    stats_.shared_tokens += static_cast<uint64_t>(n_pos - slot.n_read);
    slot.n_read = n_pos;
  };
  found_up_to(pool_.find_full(own, ids, most));
  for (const Slot* other : older) {
    if (!other->answer || other->sequence.adapter != own.adapter || other->sequence.n_full != own.n_full ||
        PagePool::last_full(other->sequence) != PagePool::last_full(own))
      continue;
    const std::span<const int32_t> others = other->answer->ids();
    if (std::ssize(others) < slot.n_read + PagePool::kPage) continue;  // it will not fill the page soon
    const auto page = others.subspan(static_cast<size_t>(slot.n_read), PagePool::kPage);
    const auto left = ids.subspan(static_cast<size_t>(slot.n_read), static_cast<size_t>(most - slot.n_read));
    if (std::ranges::mismatch(page, left).in1 - page.begin() >= kWorthWaiting) return false;
  }
  const PagePool::Found found = pool_.find(own, ids, most);
  if (found.copy.from >= 0) model_.copy_page(found.copy.from, found.copy.to);
  found_up_to(found.n_pos);
  return true;
}

bool Scheduler::make_room(PagePool::Sequence& sequence, int64_t n_pos, const Slot* own) {
  while (!pool_.extend(sequence, n_pos)) {
    Slot* youngest = nullptr;
    for (Slot& slot : slots_) {
      if (slot.answer && (youngest == nullptr || slot.id > youngest->id)) youngest = &slot;
    }
    CHECK(youngest != nullptr);  // the longest text fits alone
    put_back(*youngest);
    if (youngest == own) return false;
  }
  return true;
}

void Scheduler::plan_rows(Slot* slot, const PagePool::Sequence& sequence, std::span<const int32_t> ids,
                          int64_t first_pos, int64_t n_out) {
  const int64_t first_row = std::ssize(tokens_), n = std::ssize(ids);
  for (int64_t i = 0; i < n; ++i) {
    if (i >= n - n_out) out_rows_.push_back(static_cast<int32_t>(first_row + i));
    tokens_.push_back(ids[static_cast<size_t>(i)]);
    pos_.push_back(static_cast<int32_t>(first_pos + i));
  }
  seq_begin_.push_back(static_cast<int32_t>(tokens_.size()));
  pages_.insert(pages_.end(), sequence.pages.begin(), sequence.pages.end());
  page_begin_.push_back(static_cast<int32_t>(pages_.size()));
  adapter_.push_back(sequence.adapter);
  parts_.push_back({slot, first_row, n, n_out});
}

void Scheduler::draw(std::span<const float> logits) {
  struct Draw {
    Answer* answer;
    std::span<const float> logits;
    std::span<const int32_t> guess;
  };
  std::vector<Draw> draws;
  size_t at = 0;
  for (const Part& part : parts_) {
    const auto n = static_cast<size_t>(part.n_out * n_vocab_);
    if (part.slot != nullptr && part.n_out > 0) {
      const auto guess = std::span(part.slot->guess).first(static_cast<size_t>(part.n_out) - 1);
      draws.push_back({part.slot->answer.get(), logits.subspan(at, n), guess});
    }
    at += n;
  }
  model_.share_out(std::ssize(draws), [&](int64_t i) {
    const Draw& each = draws[static_cast<size_t>(i)];
    each.answer->draw(each.logits, each.guess);
  });
}

void Scheduler::use_logits(std::span<const float> logits) {
  draw(logits);
  EngineStats more;
  size_t at = 0;
  for (const Part& part : parts_) {
    const auto n = static_cast<size_t>(part.n_out * n_vocab_);
    use_part(part, logits.subspan(at, n), more);
    at += n;
  }
  const std::lock_guard lock(mutex_);
  stats_.prompt_tokens += more.prompt_tokens;
  stats_.completion_tokens += more.completion_tokens;
  stats_.guessed_tokens += more.guessed_tokens;
  stats_.right_guesses += more.right_guesses;
  ++stats_.steps;
}

void Scheduler::use_part(const Part& part, std::span<const float> logits, EngineStats& more) {
  if (part.slot == nullptr) {
    (*reading_->on_rows)(reading_->n_read, logits);
    reading_->n_read += part.n_rows;
    if (reading_->n_read == std::ssize(reading_->ids)) finish_reading({});
    return;
  }
  Slot& slot = *part.slot;
  const int64_t from_prompt = slot.answer->n_prompt() - slot.n_read;
  more.prompt_tokens += static_cast<uint64_t>(std::clamp<int64_t>(from_prompt, 0, part.n_rows));
  slot.n_read += part.n_rows - std::max<int64_t>(0, part.n_out - 1);  // guesses are not of the text yet
  pool_.commit(slot.sequence, slot.read_ids());
  if (part.n_out > 0) write(slot, part, more);
}

void Scheduler::write(Slot& slot, const Part& part, EngineStats& more) {
  Answer& answer = *slot.answer;
  const int64_t n_guess = part.n_out - 1, before = std::ssize(answer.ids());
  int64_t n_right = 0;
  std::optional<FinishReason> end;
  while (true) {
    end = answer.step();
    if (end || !answer.has_drawn()) break;
    ++n_right;  // its key and value stand there already
    ++slot.n_read;
  }
  if (slot.guess_by_model)
    answer.by_model().learn(n_guess, n_right);
  else
    answer.from_text().learn(n_guess, n_right);
  more.guessed_tokens += static_cast<uint64_t>(n_guess);
  more.right_guesses += static_cast<uint64_t>(n_right);
  more.completion_tokens += static_cast<uint64_t>(std::ssize(answer.ids()) - before);
  if (end) return release(slot, *end);
  pool_.commit(slot.sequence, slot.read_ids());
}

}  // namespace volant
