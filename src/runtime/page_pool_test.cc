// The page pool against a simple model of the memory behind it: what a sequence finds is what it would have
// written, nobody writes where another one reads, and no page is lost.
#include "runtime/page_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace volant {
namespace {

constexpr int64_t kPage = PagePool::kPage;

std::vector<int32_t> counting(int64_t n, int32_t from = 0) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(from + static_cast<int32_t>(i));
  return ids;
}

std::span<const int32_t> first(const std::vector<int32_t>& ids, int64_t n) {
  return std::span(ids).first(static_cast<size_t>(n));
}

// A pool whose pages really hold something: for each position, the id and what stood before it.
class Memory {
 public:
  explicit Memory(int32_t n_page) : pool(n_page), cells_(static_cast<size_t>(n_page)) {}

  struct Text {
    PagePool::Sequence sequence;
    std::vector<int32_t> ids;
    int64_t n_written = 0;
  };

  void begin(Text& text) {
    const PagePool::Found found =
        pool.find(text.sequence, text.ids, static_cast<int64_t>(text.ids.size()) - 1);
    if (found.copy.from >= 0) cell(found.copy.to) = cell(found.copy.from);
    text.n_written = found.n_pos;
    check(text);
  }
  bool write(Text& text, int64_t n_pos) {
    if (!pool.extend(text.sequence, n_pos)) return false;
    for (int64_t pos = text.n_written; pos < n_pos; ++pos) {
      const int32_t page = text.sequence.pages[static_cast<size_t>(pos / kPage)];
      RC_ASSERT(pool.n_users(page) == 1);  // nobody reads where this one writes
      cell(page)[static_cast<size_t>(pos % kPage)] = meaning(text, pos);
    }
    text.n_written = n_pos;
    pool.commit(text.sequence, first(text.ids, n_pos));
    check(text);
    return true;
  }
  void end(Text& text) {
    pool.release(text.sequence, first(text.ids, text.n_written));
    RC_ASSERT(text.sequence.pages.empty());
    text.n_written = 0;
  }
  // All that was written stands in the text's pages.
  void check(const Text& text) {
    for (int64_t pos = 0; pos < text.n_written; ++pos) {
      const int32_t page = text.sequence.pages[static_cast<size_t>(pos / kPage)];
      RC_ASSERT(cell(page)[static_cast<size_t>(pos % kPage)] == meaning(text, pos));
    }
  }

  PagePool pool;

 private:
  using Cell = std::array<uint64_t, kPage>;
  Cell& cell(int32_t page) { return cells_[static_cast<size_t>(page)]; }
  // A number that depends on the adapter and all ids up to the position, as keys and values do.
  static uint64_t meaning(const Text& text, int64_t pos) {
    uint64_t hash = 1469598103934665603ULL + static_cast<uint64_t>(text.sequence.adapter);
    for (int64_t i = 0; i <= pos; ++i)
      hash = (hash ^ static_cast<uint64_t>(text.ids[static_cast<size_t>(i)] + 1)) * 1099511628211ULL;
    return hash;
  }
  std::vector<Cell> cells_;
};

RC_GTEST_PROP(PagePool, WhatIsFoundIsWhatWasWrittenAndNoPageIsLost, ()) {
  const auto n_page = *rc::gen::inRange<int32_t>(3, 12);
  Memory memory(n_page);
  std::vector<Memory::Text> live;
  const int n_step = *rc::gen::inRange(1, 60);
  for (int step = 0; step < n_step; ++step) {
    const int what = *rc::gen::inRange(0, 4);
    if (what == 0 || live.empty()) {
      // Texts that share beginnings: runs of few ids.
      Memory::Text text;
      text.sequence.adapter = *rc::gen::inRange(0, 2);
      for (int run = *rc::gen::inRange(1, 4); run > 0; --run) {
        const int32_t id = *rc::gen::inRange(0, 2);
        const int n = *rc::gen::elementOf(std::vector<int>{1, 20, 63, 64, 65, 100});
        text.ids.insert(text.ids.end(), static_cast<size_t>(n), id);
      }
      if (text.ids.size() < 2) continue;
      memory.begin(text);
      live.push_back(std::move(text));
      continue;
    }
    Memory::Text& text = live[static_cast<size_t>(*rc::gen::inRange<int>(0, static_cast<int>(live.size())))];
    const int64_t left = static_cast<int64_t>(text.ids.size()) - text.n_written;
    if (what == 1) {
      memory.end(text);
      std::swap(text, live.back());
      live.pop_back();
    } else if (left > 0) {
      const int32_t before = memory.pool.n_available();
      const auto held = text.sequence.pages;
      if (!memory.write(text, text.n_written + *rc::gen::inRange<int64_t>(1, left + 1))) {
        RC_ASSERT(memory.pool.n_available() == before);
        RC_ASSERT(text.sequence.pages == held);
      }
    }
    // Pages that somebody holds and pages to be had are all there are.
    std::set<int32_t> pages;
    for (const Memory::Text& each : live)
      pages.insert(each.sequence.pages.begin(), each.sequence.pages.end());
    RC_ASSERT(static_cast<int32_t>(pages.size()) + memory.pool.n_available() == n_page);
    for (const Memory::Text& each : live) memory.check(each);
  }
  for (Memory::Text& each : live) memory.end(each);
  RC_ASSERT(memory.pool.n_available() == n_page);
  // All of them can be had at once.
  PagePool::Sequence all;
  RC_ASSERT(memory.pool.extend(all, n_page * kPage));
  RC_ASSERT(std::set<int32_t>(all.pages.begin(), all.pages.end()).size() == static_cast<size_t>(n_page));
  RC_ASSERT(!memory.pool.extend(all, n_page * kPage + 1));
}

TEST(PagePool, SequencesThatBeginAlikeHoldTheSamePages) {
  PagePool pool(8);
  const std::vector<int32_t> ids = counting(3 * kPage);
  PagePool::Sequence a, b, other;
  other.adapter = 1;
  ASSERT_TRUE(pool.extend(a, std::ssize(ids)));
  pool.commit(a, ids);
  EXPECT_EQ(pool.find_full(b, ids, std::ssize(ids) - 1), 2 * kPage);  // the last position is left to be read
  EXPECT_EQ(b.pages, std::vector<int32_t>(a.pages.begin(), a.pages.begin() + 2));
  EXPECT_EQ(pool.n_users(a.pages[0]), 2);
  EXPECT_EQ(pool.n_available(), 5);
  EXPECT_EQ(pool.find_full(other, ids, std::ssize(ids)), 0);
}

TEST(PagePool, PagesWithTheSameIdsWrittenByTwoBecomeOne) {
  PagePool pool(4);
  const std::vector<int32_t> ids = counting(kPage);
  PagePool::Sequence a, b;
  ASSERT_TRUE(pool.extend(a, kPage));
  ASSERT_TRUE(pool.extend(b, kPage));
  EXPECT_EQ(pool.n_available(), 2);
  pool.commit(a, ids);
  pool.commit(b, ids);
  EXPECT_EQ(a.pages, b.pages);
  EXPECT_EQ(pool.n_available(), 3);
}

TEST(PagePool, AnUnfinishedPageIsFoundAsACopy) {
  PagePool pool(4);
  const std::vector<int32_t> ids = counting(40);
  PagePool::Sequence a, b;
  ASSERT_TRUE(pool.extend(a, 40));
  const int32_t page = a.pages[0];
  pool.release(a, ids);
  std::vector<int32_t> other = counting(30);
  other.push_back(7777);
  const PagePool::Found found = pool.find(b, other, std::ssize(other) - 1);
  EXPECT_EQ(found.n_pos, 30);
  EXPECT_EQ(found.copy.from, page);
  EXPECT_EQ(found.copy.to, b.pages.at(0));
  EXPECT_NE(found.copy.to, page);
}

TEST(PagePool, ThePageUnusedForLongestGoesFirstAndTextsAreForgottenFromTheirEnd) {
  PagePool pool(4);
  const std::vector<int32_t> old_ids = counting(2 * kPage), new_ids = counting(2 * kPage, 1000);
  for (const auto* ids : {&old_ids, &new_ids}) {
    PagePool::Sequence sequence;
    ASSERT_TRUE(pool.extend(sequence, std::ssize(*ids)));
    pool.release(sequence, *ids);
  }
  const auto known = [&](const std::vector<int32_t>& ids) {
    PagePool::Sequence sequence;
    const int64_t n = pool.find_full(sequence, ids, std::ssize(ids));
    pool.release(sequence, first(ids, n));
    return n;
  };
  PagePool::Sequence one;
  ASSERT_TRUE(pool.extend(one, 1));
  EXPECT_EQ(known(old_ids), kPage);
  EXPECT_EQ(known(new_ids), 2 * kPage);
  ASSERT_TRUE(pool.extend(one, kPage + 1));
  EXPECT_EQ(known(old_ids), 0);
  EXPECT_EQ(known(new_ids), 2 * kPage);
  pool.release(one, {});
  pool.clear();
  EXPECT_EQ(known(new_ids), 0);
}

}  // namespace
}  // namespace volant
