// Step ledger: the book of prepare(). Every row that enters a step leaves it or
// is dropped with a reason; a few examples of each reason are kept, chosen by
// digest so that they come from all over the data and are the same in every run.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/prepare.h"
#include "data/row.h"

namespace volant {

class StepLedger {
 public:
  // With `mask`, examples of any step show placeholders for personal data.
  StepLedger(std::string name, bool mask) : mask_(mask) { report_.name = std::move(name); }
  void enter(const Row& row);
  void leave(const Row& row);
  // Instead of leave(): `row` ends here.
  void drop(const Row& row, std::string_view reason, std::string_view detail);
  // Besides leave(): the step changed the row, which was `before`, for one or more reasons.
  void change(const Row& row, const std::vector<std::string>& reasons, std::string_view before);
  // Examples in order of their reasons.
  PrepareStepReport finish() &&;

 private:
  void note(const Row& row, std::string_view reason, std::string_view text, std::string_view detail);
  bool mask_;
  PrepareStepReport report_;
  std::map<std::string, std::map<uint64_t, PrepareExample>> examples_;  // by reason, by digest
};

// The first `max_chars` code points of a text, with an ellipsis when there are more.
std::string snippet(std::string_view utf8, size_t max_chars = 240);

}  // namespace volant
