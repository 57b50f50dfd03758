// A parsed HTML page: gumbo's tree with limits on depth and memory,
// so that no page can exhaust the stack or the machine.
#pragma once
#include <gumbo.h>

#include <memory>
#include <string_view>

#include "base/result.h"

namespace volant {

class HtmlTree {
 public:
  // `utf8` must outlive the tree.
  static Result<HtmlTree> parse(std::string_view utf8);
  HtmlTree(HtmlTree&&) noexcept;
  ~HtmlTree();
  const GumboNode* root() const;

 private:
  struct Memory;
  HtmlTree(std::unique_ptr<Memory> memory, const GumboOutput* output);
  std::unique_ptr<Memory> memory_;
  const GumboOutput* output_;
};

}  // namespace volant
