#include "data/html_tree.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdlib>
#include <string>

#include "base/clock.h"

namespace volant {
namespace {

constexpr size_t kMaxBytes = 32ULL << 20;
constexpr size_t kMaxMemory = 1ULL << 30;
constexpr double kMaxSeconds = 20;
constexpr int kMaxDepth = 1500;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Elements that are never open for long: void ones, and those that the next of their kind closes.
bool stays_open(std::string_view name) {
  constexpr std::array<std::string_view, 26> kShort = {
      "area", "base",  "br",     "col",   "embed", "hr",    "img",    "input",   "link",
      "meta", "param", "source", "track", "wbr",   "p",     "li",     "dt",      "dd",
      "tr",   "td",    "th",     "thead", "tbody", "tfoot", "option", "colgroup"};
  for (const std::string_view s : kShort) {
    if (s == name) return false;
  }
  return true;
}

// Drawings on a page are thousands of these; HTML knows no other element that "/>" closes.
bool is_svg_leaf(std::string_view name) {
  constexpr std::array<std::string_view, 10> kLeaves = {"path", "circle",  "rect", "line",  "polygon",
                                                        "use",  "ellipse", "stop", "image", "polyline"};
  return std::find(kLeaves.begin(), kLeaves.end(), name) != kLeaves.end();
}

// How deep tags are nested, by the letter, and rather too many than too few:
// gumbo takes time depth times tags.
int depth_of(std::string_view html) {
  int depth = 0, deepest = 0;
  for (size_t i = html.find('<'); i != std::string_view::npos; i = html.find('<', i)) {
    const bool closes = i + 1 < html.size() && html[i + 1] == '/';
    size_t at = i + 1 + closes;
    std::string name;
    while (at < html.size() && is_name_char(html[at]) && name.size() < 16) {
      name.push_back(html[at] >= 'A' && html[at] <= 'Z' ? static_cast<char>(html[at] + 32) : html[at]);
      ++at;
    }
    ++i;
    if (name.empty() || !stays_open(name)) continue;
    i = html.find('>', at);
    if (i == std::string_view::npos) break;
    const bool self_closed = html[i - 1] == '/' && is_svg_leaf(name);
    if (closes) {
      depth -= depth > 0;
    } else if (!self_closed) {
      deepest = std::max(deepest, ++depth);
    }
  }
  return deepest;
}

// Precedes each block of memory; blocks form a list,
// so that all can be given back at once, without recursion.
struct alignas(16) Block {
  Block* previous;
  Block* next;
  size_t size;
};

}  // namespace

struct HtmlTree::Memory {
  Block first{nullptr, nullptr, 0};
  size_t used = 0;
  uint64_t n_allocations = 0;
  double started = steady_seconds();
  const char* exhausted = "";
  std::jmp_buf leave;

  ~Memory() {
    for (Block* block = first.next; block != nullptr;) {
      Block* next = block->next;
      std::free(block);
      block = next;
    }
  }

  // gumbo cannot be told to stop: it is left by a jump, and its blocks are in our list.
  static void* allocate(void* self, size_t size) {
    auto* memory = static_cast<Memory*>(self);
    memory->used += size;
    if (memory->used > kMaxMemory) memory->give_up("memory");
    if (++memory->n_allocations % 256 == 0 && steady_seconds() - memory->started > kMaxSeconds)
      memory->give_up("time");
    auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (block == nullptr) memory->give_up("memory");
    *block = {&memory->first, memory->first.next, size};
    if (block->next != nullptr) block->next->previous = block;
    memory->first.next = block;
    return block + 1;
  }

  [[noreturn]] void give_up(const char* what) {
    exhausted = what;
    std::longjmp(leave, 1);
  }

  static void deallocate(void* self, void* pointer) {
    if (pointer == nullptr) return;
    auto* memory = static_cast<Memory*>(self);
    Block* block = static_cast<Block*>(pointer) - 1;
    memory->used -= block->size;
    block->previous->next = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
    std::free(block);
  }
};

HtmlTree::HtmlTree(std::unique_ptr<Memory> memory, const GumboOutput* output)
    : memory_(std::move(memory)), output_(output) {}
HtmlTree::HtmlTree(HtmlTree&&) noexcept = default;
HtmlTree::~HtmlTree() = default;  // the blocks, not gumbo_destroy_output(): that recurses

const GumboNode* HtmlTree::root() const { return output_->root; }

Result<HtmlTree> HtmlTree::parse(std::string_view utf8) {
  if (utf8.size() > kMaxBytes) {
    return fail(ErrorCode::kLimit, "expected an HTML page of at most {} MB, got {} MB", kMaxBytes >> 20,
                utf8.size() >> 20);
  }
  if (depth_of(utf8) > kMaxDepth) {
    return fail(ErrorCode::kLimit, "expected HTML tags nested at most {} deep", kMaxDepth);
  }
  auto memory = std::make_unique<Memory>();
  GumboOptions options = kGumboDefaultOptions;
  options.allocator = &Memory::allocate;
  options.deallocator = &Memory::deallocate;
  options.userdata = memory.get();
  options.max_errors = 0;
  if (setjmp(memory->leave) != 0) {
    return fail(ErrorCode::kLimit, "the HTML page needs too much {} to parse", memory->exhausted);
  }
  const GumboOutput* output = gumbo_parse_with_options(&options, utf8.data(), utf8.size());
  return HtmlTree(std::move(memory), output);
}

}  // namespace volant
