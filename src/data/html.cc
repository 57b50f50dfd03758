#include "data/html.h"

#include <algorithm>
#include <vector>

#include "data/html_tree.h"

namespace volant {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'; }

// A paragraph, heading, list item, table row or preformatted text.
struct Block {
  std::string text;
  size_t link_bytes = 0;
  char item = 0;  // 'l' list item, 'r' table row: follows another one without a blank line
  bool preformatted = false;
  bool heading = false;
};

bool is_left_out(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_HEAD:
    case GUMBO_TAG_TITLE:
    case GUMBO_TAG_NOFRAMES:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_INPUT:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_EMBED:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_RT:
    case GUMBO_TAG_RP:
      return true;
    default:
      return false;
  }
}

bool is_heading(GumboTag tag) {
  return tag == GUMBO_TAG_H1 || tag == GUMBO_TAG_H2 || tag == GUMBO_TAG_H3 || tag == GUMBO_TAG_H4 ||
         tag == GUMBO_TAG_H5 || tag == GUMBO_TAG_H6;
}

char item_of(GumboTag tag) {
  if (tag == GUMBO_TAG_TR) return 'r';
  return tag == GUMBO_TAG_LI || tag == GUMBO_TAG_DT || tag == GUMBO_TAG_DD || tag == GUMBO_TAG_OPTION ? 'l'
                                                                                                      : '\0';
}

// Elements inside a line of text; everything else begins a block.
bool is_inline(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_A:
    case GUMBO_TAG_ABBR:
    case GUMBO_TAG_ACRONYM:
    case GUMBO_TAG_B:
    case GUMBO_TAG_BDI:
    case GUMBO_TAG_BDO:
    case GUMBO_TAG_BIG:
    case GUMBO_TAG_CITE:
    case GUMBO_TAG_CODE:
    case GUMBO_TAG_DATA:
    case GUMBO_TAG_DEL:
    case GUMBO_TAG_DFN:
    case GUMBO_TAG_EM:
    case GUMBO_TAG_FONT:
    case GUMBO_TAG_I:
    case GUMBO_TAG_IMG:
    case GUMBO_TAG_INS:
    case GUMBO_TAG_KBD:
    case GUMBO_TAG_LABEL:
    case GUMBO_TAG_MARK:
    case GUMBO_TAG_NOBR:
    case GUMBO_TAG_Q:
    case GUMBO_TAG_RB:
    case GUMBO_TAG_RUBY:
    case GUMBO_TAG_S:
    case GUMBO_TAG_SAMP:
    case GUMBO_TAG_SMALL:
    case GUMBO_TAG_SPAN:
    case GUMBO_TAG_STRIKE:
    case GUMBO_TAG_STRONG:
    case GUMBO_TAG_SUB:
    case GUMBO_TAG_SUP:
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
    case GUMBO_TAG_TIME:
    case GUMBO_TAG_TT:
    case GUMBO_TAG_U:
    case GUMBO_TAG_UNKNOWN:
    case GUMBO_TAG_VAR:
    case GUMBO_TAG_WBR:
      return true;
    default:
      return false;
  }
}

std::string_view attribute(const GumboElement& element, const char* name) {
  const GumboAttribute* found = gumbo_get_attribute(&element.attributes, name);
  return found == nullptr ? std::string_view() : std::string_view(found->value);
}

bool is_hidden(const GumboElement& element) {
  if (gumbo_get_attribute(&element.attributes, "hidden") != nullptr) return true;
  if (attribute(element, "aria-hidden") == "true") return true;
  const std::string_view role = attribute(element, "role");
  if (role == "navigation" || role == "banner" || role == "contentinfo" || role == "search" ||
      role == "complementary")
    return true;
  std::string style;
  for (const char c : attribute(element, "style")) {
    if (!is_blank(c)) style.push_back(c);
  }
  return style.find("display:none") != std::string::npos ||
         style.find("visibility:hidden") != std::string::npos;
}

// Walks a tree in order without recursion and collects blocks.
class Extractor {
 public:
  std::vector<Block> run(const GumboNode* root) {
    struct Frame {
      const GumboNode* node;
      unsigned child = 0;
    };
    std::vector<Frame> stack;
    if (enter(root)) stack.push_back({root});
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const GumboVector& children = frame.node->type == GUMBO_NODE_DOCUMENT ? frame.node->v.document.children
                                                                            : frame.node->v.element.children;
      if (frame.child == children.length) {
        leave(frame.node);
        stack.pop_back();
        continue;
      }
      const auto* child = static_cast<const GumboNode*>(children.data[frame.child++]);
      if (enter(child)) stack.push_back({child});
    }
    end_block();
    return std::move(blocks_);
  }

 private:
  // True when the children are to be visited, and then leave() is called.
  bool enter(const GumboNode* node) {
    if (node->type == GUMBO_NODE_TEXT || node->type == GUMBO_NODE_WHITESPACE ||
        node->type == GUMBO_NODE_CDATA) {
      add(node->v.text.text);
      return false;
    }
    if (node->type == GUMBO_NODE_DOCUMENT) return true;
    if (node->type != GUMBO_NODE_ELEMENT) return false;
    const GumboElement& element = node->v.element;
    const GumboTag tag = element.tag;
    if (is_left_out(tag) || is_hidden(element)) return false;
    // The header of a page is its banner; the header of an article holds its title.
    if (tag == GUMBO_TAG_HEADER && n_article_ == 0) return false;
    if (tag == GUMBO_TAG_BR) {
      current_.text.push_back('\n');
      return false;
    }
    n_article_ += tag == GUMBO_TAG_ARTICLE || tag == GUMBO_TAG_MAIN;
    n_link_ += tag == GUMBO_TAG_A;
    if (tag == GUMBO_TAG_TD || tag == GUMBO_TAG_TH) {
      if (!current_.text.empty()) current_.text.push_back('\t');
    }
    if (!is_inline(tag)) {
      end_block();
      n_pre_ += tag == GUMBO_TAG_PRE;
      current_.item = item_of(tag);
      current_.heading = is_heading(tag);
      current_.preformatted = n_pre_ > 0;
    }
    return true;
  }

  void leave(const GumboNode* node) {
    if (node->type != GUMBO_NODE_ELEMENT) return;
    const GumboTag tag = node->v.element.tag;
    n_article_ -= tag == GUMBO_TAG_ARTICLE || tag == GUMBO_TAG_MAIN;
    n_link_ -= tag == GUMBO_TAG_A;
    if (is_inline(tag)) return;
    end_block();
    n_pre_ -= tag == GUMBO_TAG_PRE;
  }

  void add(std::string_view text) {
    const size_t before = current_.text.size();
    if (n_pre_ > 0) {
      current_.text += text;
    } else {
      for (const char c : text) {
        const bool blank = is_blank(c);
        if (blank && (current_.text.empty() || is_blank(current_.text.back()))) continue;
        current_.text.push_back(blank ? ' ' : c);
      }
    }
    if (n_link_ > 0) current_.link_bytes += current_.text.size() - before;
  }

  void end_block() {
    std::string& text = current_.text;
    while (!text.empty() && is_blank(text.back())) text.pop_back();
    if (current_.preformatted) {
      text.erase(0, std::min(text.find_first_not_of('\n'), text.size()));
    }
    if (!text.empty()) blocks_.push_back(std::move(current_));
    current_ = Block();
  }

  std::vector<Block> blocks_;
  Block current_;
  int n_article_ = 0, n_link_ = 0, n_pre_ = 0;
};

// Menus: runs of three and more blocks that are hardly more than links.
std::vector<Block> without_menus(std::vector<Block> blocks) {
  constexpr size_t kMenuBlocks = 3;
  const auto is_link = [](const Block& b) { return !b.heading && b.link_bytes * 10 >= b.text.size() * 8; };
  std::vector<Block> out;
  for (size_t i = 0; i < blocks.size();) {
    size_t end = i;
    while (end < blocks.size() && is_link(blocks[end])) ++end;
    if (end - i < kMenuBlocks) {
      end = std::max(end, i + 1);
      for (size_t k = i; k < end; ++k) out.push_back(std::move(blocks[k]));
    }
    i = end;
  }
  return out;
}

// The first <main> (or role="main"), else the only <article>, else nothing.
const GumboNode* main_part(const GumboNode* root) {
  std::vector<const GumboNode*> stack = {root};
  const GumboNode* article = nullptr;
  int n_articles = 0;
  while (!stack.empty()) {
    const GumboNode* node = stack.back();
    stack.pop_back();
    if (node->type != GUMBO_NODE_ELEMENT) continue;
    const GumboElement& element = node->v.element;
    if (element.tag == GUMBO_TAG_MAIN || attribute(element, "role") == "main") return node;
    if (element.tag == GUMBO_TAG_ARTICLE) {
      ++n_articles;
      article = node;
      continue;
    }
    for (unsigned i = element.children.length; i-- > 0;) {
      stack.push_back(static_cast<const GumboNode*>(element.children.data[i]));
    }
  }
  return n_articles == 1 ? article : nullptr;
}

size_t bytes_of(const std::vector<Block>& blocks) {
  size_t n = 0;
  for (const Block& block : blocks) n += block.text.size();
  return n;
}

std::string title_of(const GumboNode* root) {
  const GumboVector& top = root->v.element.children;
  for (unsigned i = 0; i < top.length; ++i) {
    const auto* head = static_cast<const GumboNode*>(top.data[i]);
    if (head->type != GUMBO_NODE_ELEMENT || head->v.element.tag != GUMBO_TAG_HEAD) continue;
    for (unsigned k = 0; k < head->v.element.children.length; ++k) {
      const auto* node = static_cast<const GumboNode*>(head->v.element.children.data[k]);
      if (node->type != GUMBO_NODE_ELEMENT || node->v.element.tag != GUMBO_TAG_TITLE) continue;
      std::string out;
      const GumboVector& parts = node->v.element.children;
      for (unsigned p = 0; p < parts.length; ++p) {
        const auto* part = static_cast<const GumboNode*>(parts.data[p]);
        if (part->type == GUMBO_NODE_TEXT) out += part->v.text.text;
      }
      return out;
    }
  }
  return {};
}

}  // namespace

Result<HtmlText> text_of_html(std::string_view utf8) {
  const HtmlTree tree = TRY(HtmlTree::parse(utf8));
  HtmlText out;
  out.title = title_of(tree.root());
  std::vector<Block> blocks = without_menus(Extractor().run(tree.root()));
  if (const GumboNode* part = main_part(tree.root())) {
    std::vector<Block> main_blocks = without_menus(Extractor().run(part));
    // A page whose main part holds hardly anything has put its text elsewhere.
    if (bytes_of(main_blocks) * 4 >= bytes_of(blocks)) blocks = std::move(main_blocks);
  }
  char last_item = 0;
  for (const Block& block : blocks) {
    if (!out.text.empty()) out.text += block.item != 0 && block.item == last_item ? "\n" : "\n\n";
    out.text += block.text;
    last_item = block.item;
  }
  return out;
}

std::string declared_charset(std::string_view bytes) {
  std::string head(bytes.substr(0, 4096));
  for (char& c : head) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  for (size_t at = head.find("<meta"); at != std::string::npos; at = head.find("<meta", at + 1)) {
    const size_t end = head.find('>', at);
    size_t value = head.find("charset", at);
    if (value == std::string::npos || value > end) continue;
    value += 7;
    while (value < head.size() &&
           (is_blank(head[value]) || head[value] == '=' || head[value] == '"' || head[value] == '\''))
      ++value;
    const size_t stop = head.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_", value);
    return head.substr(value, stop == std::string::npos ? 0 : stop - value);
  }
  return {};
}

}  // namespace volant
