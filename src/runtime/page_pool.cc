#include "runtime/page_pool.h"

#include <algorithm>

#include "base/check.h"

namespace volant {
namespace {

int64_t pages_for(int64_t n_pos) { return (n_pos + PagePool::kPage - 1) / PagePool::kPage; }

int64_t n_common(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

}  // namespace

PagePool::PagePool(int32_t n_page) : pages_(static_cast<size_t>(n_page)), n_available_(n_page) {
  for (int32_t page = n_page; page-- > 0;) free_.push_back(page);
}

std::vector<int32_t>& PagePool::children_of(int32_t parent, int32_t adapter) {
  return parent < 0 ? roots_[adapter] : at(parent).children;
}

void PagePool::update_evictable(int32_t page) {
  const Page& p = at(page);
  if (p.in_tree && p.users == 0 && p.children.empty()) {
    evictable_.emplace(p.used, page);
  } else {
    evictable_.erase({p.used, page});
  }
}

void PagePool::hold(int32_t page) {
  if (at(page).users++ == 0) --n_available_;
  update_evictable(page);
}

void PagePool::let_go(int32_t page) {
  Page& p = at(page);
  CHECK(p.users > 0);
  if (--p.users > 0) return;
  ++n_available_;
  p.used = ++clock_;
  if (!p.in_tree) free_.push_back(page);
  update_evictable(page);
}

void PagePool::insert(int32_t page, int32_t parent, int32_t adapter, std::span<const int32_t> ids) {
  Page& p = at(page);
  p.in_tree = true;
  p.parent = parent;
  p.adapter = adapter;
  p.ids.assign(ids.begin(), ids.end());
  children_of(parent, adapter).push_back(page);
  update_evictable(page);
  if (parent >= 0) update_evictable(parent);
}

void PagePool::remove(int32_t page) {
  Page& p = at(page);
  CHECK(p.children.empty());
  std::erase(children_of(p.parent, p.adapter), page);
  evictable_.erase({p.used, page});
  p.in_tree = false;
  p.ids.clear();
  if (p.parent >= 0) update_evictable(p.parent);
  p.parent = -1;
}

int32_t PagePool::take() {
  if (free_.empty()) {
    if (evictable_.empty()) return -1;
    const int32_t oldest = evictable_.begin()->second;
    remove(oldest);
    free_.push_back(oldest);
  }
  const int32_t page = free_.back();
  free_.pop_back();
  hold(page);
  return page;
}

int64_t PagePool::find_full(Sequence& sequence, std::span<const int32_t> ids, int64_t most) {
  CHECK(sequence.n_full == std::ssize(sequence.pages));
  most = std::min(most, std::ssize(ids));
  for (int64_t begin = sequence.n_full * kPage; begin + kPage <= most; begin += kPage) {
    const auto wanted = ids.subspan(static_cast<size_t>(begin), kPage);
    const std::vector<int32_t>& children = children_of(last_full(sequence), sequence.adapter);
    const auto found = std::ranges::find_if(
        children, [&](int32_t page) { return std::ranges::equal(at(page).ids, wanted); });
    if (found == children.end()) break;
    const int32_t page = *found;
    hold(page);
    sequence.pages.push_back(page);
    ++sequence.n_full;
  }
  return sequence.n_full * kPage;
}

PagePool::Found PagePool::find(Sequence& sequence, std::span<const int32_t> ids, int64_t most) {
  Found found{.n_pos = find_full(sequence, ids, most), .copy = {}};
  const int64_t left = std::min(most, std::ssize(ids)) - found.n_pos;
  if (left <= 0) return found;
  const auto wanted =
      ids.subspan(static_cast<size_t>(found.n_pos), static_cast<size_t>(std::min(left, kPage)));
  int64_t best = 0;
  for (const int32_t page : children_of(last_full(sequence), sequence.adapter)) {
    const int64_t n = n_common(at(page).ids, wanted);
    if (n > best) best = n, found.copy.from = page;
  }
  if (best == 0) return found;
  hold(found.copy.from);  // so that it is not the page that is taken
  found.copy.to = take();
  let_go(found.copy.from);
  if (found.copy.to < 0) return {.n_pos = found.n_pos, .copy = {}};
  sequence.pages.push_back(found.copy.to);
  found.n_pos += best;
  return found;
}

bool PagePool::extend(Sequence& sequence, int64_t n_pos) {
  const int64_t more = pages_for(n_pos) - std::ssize(sequence.pages);
  if (more > n_available_) return false;
  for (int64_t i = 0; i < more; ++i) {
    const int32_t page = take();
    CHECK(page >= 0);
    sequence.pages.push_back(page);
  }
  return true;
}

void PagePool::commit(Sequence& sequence, std::span<const int32_t> ids) {
  for (; (sequence.n_full + 1) * kPage <= std::ssize(ids); ++sequence.n_full) {
    const auto full = ids.subspan(static_cast<size_t>(sequence.n_full * kPage), kPage);
    int32_t& page = sequence.pages[static_cast<size_t>(sequence.n_full)];
    const int32_t parent = last_full(sequence);
    const std::vector<int32_t>& children = children_of(parent, sequence.adapter);
    const auto same =
        std::ranges::find_if(children, [&](int32_t each) { return std::ranges::equal(at(each).ids, full); });
    if (same == children.end()) {
      insert(page, parent, sequence.adapter, full);
    } else {
      const int32_t own = std::exchange(page, *same);
      hold(page);
      let_go(own);
    }
  }
}

void PagePool::release(Sequence& sequence, std::span<const int32_t> ids) {
  commit(sequence, ids);
  const auto rest = ids.subspan(static_cast<size_t>(sequence.n_full * kPage));
  if (!rest.empty()) {
    const int32_t parent = last_full(sequence);
    const std::vector<int32_t>& children = children_of(parent, sequence.adapter);
    const auto longer = std::ranges::find_if(
        children, [&](int32_t each) { return n_common(at(each).ids, rest) == std::ssize(rest); });
    if (longer == children.end()) {
      // An unfinished page that this one contains is of no more use.
      const auto shorter = std::ranges::find_if(children, [&](int32_t each) {
        return at(each).users == 0 && n_common(at(each).ids, rest) == std::ssize(at(each).ids);
      });
      if (shorter != children.end()) {
        const int32_t page = *shorter;
        remove(page);
        free_.push_back(page);
      }
      insert(sequence.pages[static_cast<size_t>(sequence.n_full)], parent, sequence.adapter, rest);
    }
  }
  // The last first, so that a text is forgotten from its end.
  for (auto page = sequence.pages.rbegin(); page != sequence.pages.rend(); ++page) let_go(*page);
  sequence = {};
}

void PagePool::clear() {
  CHECK(n_available_ == n_page());
  *this = PagePool(n_page());
}

}  // namespace volant
