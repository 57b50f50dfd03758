// Stop texts in a growing answer: nothing that may be the beginning of one is shown before that is decided.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace volant {

class StopText {
 public:
  explicit StopText(std::vector<std::string> stops);
  // Takes new text; gives what can be shown now. After a stop text was found it gives nothing any more.
  std::string push(std::string_view text);
  bool found() const { return found_; }
  // What was held back, when the answer ended otherwise.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace volant
