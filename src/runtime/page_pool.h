// Who holds which page of the key/value cache, and which beginnings of texts stand in it. A full page is
// never written again: sequences that begin alike hold it together, and it stays findable when nobody holds
// it any more, until the page unused for longest is needed for something else. The pages form a tree by the
// ids that they hold; the last, unfinished page of a sequence is its own. Counts and ids only: the numbers
// are in ops/native/kv_cache.h. Not thread safe.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "kernels/kv_block.h"

namespace volant {

class PagePool {
 public:
  static constexpr int64_t kPage = kKvBlock;  // positions

  // The pages of one sequence, in order of positions. The first n_full are full and in the tree.
  struct Sequence {
    std::vector<int32_t> pages = {};
    int64_t n_full = 0;
    int32_t adapter = 0;  // pages are shared by sequences with the same alone
  };
  struct Copy {
    int32_t from = -1, to = -1;
  };
  // What of a sequence's ids was found.
  struct Found {
    int64_t n_pos = 0;  // positions that stand in its pages now
    Copy copy;          // a page whose numbers the caller copies first; from -1: none
  };

  explicit PagePool(int32_t n_page);

  // Further full pages with the ids of `sequence`, which holds its n_full pages and nothing more; at most up
  // to position `most`. Gives the positions that it has then.
  int64_t find_full(Sequence& sequence, std::span<const int32_t> ids, int64_t most);
  // The same, and then a page of its own with as much of the next ids as any page holds, to be copied.
  Found find(Sequence& sequence, std::span<const int32_t> ids, int64_t most);
  // Room for n_pos positions; false: there are not enough pages, and nothing changed.
  bool extend(Sequence& sequence, int64_t n_pos);
  // The positions of `ids` were written: full pages become findable. Of two pages with the same ids one goes.
  void commit(Sequence& sequence, std::span<const int32_t> ids);
  // The sequence ends with the positions of `ids` written; its pages stay findable until they are needed.
  void release(Sequence& sequence, std::span<const int32_t> ids);
  // Forgets all texts. No sequence may hold a page.
  void clear();

  int32_t n_page() const { return static_cast<int32_t>(pages_.size()); }
  // Pages that a sequence may get: nobody holds them.
  int32_t n_available() const { return n_available_; }
  int32_t n_users(int32_t page) const { return at(page).users; }
  // The page of the tree that ends the sequence's full ones; -1: none.
  static int32_t last_full(const Sequence& sequence) {
    return sequence.n_full == 0 ? -1 : sequence.pages[static_cast<size_t>(sequence.n_full) - 1];
  }

 private:
  struct Page {
    int32_t users = 0;
    bool in_tree = false;
    int32_t parent = -1;  // -1: it begins a text
    int32_t adapter = 0;
    std::vector<int32_t> ids;       // of its positions, when in the tree; fewer than kPage: only for copies
    std::vector<int32_t> children;  // pages that go on from it
    uint64_t used = 0;              // when somebody held it last
  };

  const Page& at(int32_t page) const { return pages_[static_cast<size_t>(page)]; }
  Page& at(int32_t page) { return pages_[static_cast<size_t>(page)]; }
  std::vector<int32_t>& children_of(int32_t parent, int32_t adapter);
  int32_t take();  // a page of nobody: a free one, or the one unused for longest
  void hold(int32_t page);
  void let_go(int32_t page);
  void insert(int32_t page, int32_t parent, int32_t adapter, std::span<const int32_t> ids);
  void remove(int32_t page);
  // Keeps `evictable_` right after a change of users or children.
  void update_evictable(int32_t page);

  std::vector<Page> pages_;
  std::map<int32_t, std::vector<int32_t>> roots_;  // by adapter
  std::vector<int32_t> free_;                      // neither held nor in the tree; the lowest last
  std::set<std::pair<uint64_t, int32_t>>
      evictable_;  // (used, page): in the tree, of nobody, without children
  int32_t n_available_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace volant
