// Products of few rows that are put off until their numbers are needed: all of them (query, key and value;
// gate and up), and what follows on each output by itself (biases, activations, residuals, the rounding for
// the next product), go as one loop over columns. A token costs one hand-over to the threads in place of one
// for each part, and what follows is done by all threads where the outputs still are in the cache.
// Numbers are the same as one after the other: nothing is summed in another order.
#pragma once
#include <cstring>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace volant {

class ColumnLoop {
 public:
  static constexpr int64_t kColumns = 2 * kPanel;  // least piece: a tile of many rows takes so many at once

  bool empty() const { return products_.empty(); }
  // Whether the activation of that number waits to be computed.
  bool holds(uint64_t act) const { return group_of(act) >= 0; }
  // A product with all of a weight of type `dtype` whose input is there; its output is `act`.
  void add(DType dtype, const MatmulArgs& args, uint64_t act);
  // f(begin, end) makes those columns of `act` from those of `inputs`, as many columns; begin is a multiple
  // of kColumns. At least one of the inputs must wait, the others are there.
  template <class F>
  void follow(std::initializer_list<uint64_t> inputs, uint64_t act, const F& f) {
    static_assert(sizeof(F) <= sizeof(Step::held) && std::is_trivially_copyable_v<F>);
    Step step{.group = joined(inputs), .act = act, .call = [](const void* held, int64_t begin, int64_t end) {
                (*static_cast<const F*>(held))(begin, end);
              }};
    std::memcpy(step.held, &f, sizeof(F));
    steps_.push_back(step);
  }
  // Computes all of it; then nothing waits. `grain`: multiply-adds worth a piece.
  void run(ThreadPool& threads, int64_t grain);
  // The loops that follow are those of a pass from its begin: most likely the same as those of the pass
  // before, so that a thread that waits can bring its next weights near.
  void begin_pass() { next_loop_ = 0; }
  // The caller reads this now, between two loops. In the next pass it is asked for while the loop before
  // runs: such small things leave the caches while weights pass through.
  void note(const void* data, size_t bytes);

 private:
  // Products with as many outputs, cut into the same pieces.
  struct Group {
    int64_t n_column = 0, first = 0, n_piece = 0;  // pieces [first, first + n_piece) of the loop are its
  };
  struct Product {
    int group;
    uint64_t act;
    MatmulTable::Matmul matmul;
    MatmulArgs args;
    int64_t panel_bytes, scale_bytes;  // of a panel
  };
  // What the threads read first in a loop of the pass before.
  struct Reading {
    std::vector<ThreadPool::Ahead> small;  // the caller before it
    const void* first = nullptr;           // weight
    int64_t n_piece = 0;                   // of columns
    size_t n_product = 0;
    std::vector<ThreadPool::Ahead> ahead;  // ThreadPool::kAheads for each thread
  };
  struct Step {
    int group;
    uint64_t act;
    void (*call)(const void* held, int64_t begin, int64_t end);
    alignas(8) std::byte held[72] = {};
  };
  int group_of(uint64_t act) const;  // -1: it does not wait
  // The group that these wait in; several become one.
  int joined(std::initializer_list<uint64_t> acts);
  void run_pieces(int64_t begin, int64_t end) const;
  // f(product, first panel, end) for the products of those pieces, in the order that they are computed in.
  template <class F>
  void for_products(int64_t begin, int64_t end, const F& f) const;
  void note_reading(const ThreadPool& threads, int64_t n_piece, int64_t grain, Reading& reading) const;

  std::vector<Group> groups_;
  std::vector<Product> products_;
  std::vector<Step> steps_;
  std::vector<Reading> pass_;
  size_t next_loop_ = 0;
};

}  // namespace volant
