// Ranks: the processes that train one model together, and the sums that they form, over libtorch's c10d with
// Gloo. A rank that dies or falls silent is noticed within ten seconds by all the others. No torch in this
// header. Nothing is encrypted and nobody is asked who he is: for machines that trust each other.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "train/rank_info.h"

namespace volant {

class Ranks {
 public:
  // Called once, from another thread, when others are gone: nothing that waits for them will come back, so
  // the process is to end.
  using OnLost = std::function<void(const Error&)>;

  // One process: every sum is what it was.
  Ranks();
  static const Ranks& alone();
  // Waits until all have come. kUnavailable says how many did not come in time.
  static Result<Ranks> meet(const RankInfo& info, OnLost on_lost);
  Ranks(Ranks&&) noexcept;
  Ranks& operator=(Ranks&&) noexcept;
  ~Ranks();

  int rank() const { return info_.rank; }
  int size() const { return info_.size; }
  int local_size() const { return info_.local_size; }
  bool first() const { return info_.rank == 0; }

  // A sum or a copy that is under way; wait() gives its numbers to whom they belong.
  class Pending {
   public:
    Pending();
    Pending(Pending&&) noexcept;
    Pending& operator=(Pending&&) noexcept;
    ~Pending();
    Status wait();

   private:
    friend class Ranks;
    struct Work;
    std::unique_ptr<Work> work_;
  };

  // All ranks call these in the same order with as many numbers. The numbers stay where they are until
  // wait(). Sums of all ranks, the same bits everywhere.
  Pending start_sum(std::span<float> numbers) const;
  // The sum for rank `to` alone; what the others have afterwards is of no use.
  Pending start_sum_to(int to, std::span<float> numbers) const;
  // Everybody has the numbers of rank `from`.
  Pending start_copy_from(int from, std::span<float> numbers) const;

  Status sum(std::span<double> numbers) const;
  Status copy_from_first(std::span<double> numbers) const;
  // Waits until all have come here.
  Status meet_again() const;
  // kInvalidArgument when `text` is not the same everywhere; `what` names it.
  Status check_same(const std::string& text, const std::string& what) const;

  // Called before on_lost is, from the same thread.
  void when_lost(OnLost f) const;

  // The last call: others may end too. With an error they are told, and end with it.
  void leave(const Status& outcome);

 private:
  struct State;
  Ranks(const RankInfo& info, std::unique_ptr<State> state);
  RankInfo info_;
  std::unique_ptr<State> state_;
};

}  // namespace volant
