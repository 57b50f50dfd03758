#include "data/step_ledger.h"

#include "base/digest.h"
#include "data/personal_data.h"

namespace volant {
namespace {
constexpr size_t kExamplesByReason = 3;
}

std::string snippet(std::string_view utf8, size_t max_chars) {
  size_t chars = 0;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(utf8[i]) & 0xC0) != 0x80;
    if (starts && chars++ == max_chars) return std::string(utf8.substr(0, i)) + "…";
  }
  return std::string(utf8);
}

void StepLedger::enter(const Row& row) {
  ++report_.rows_in;
  ++report_.by_language[row.lang][0];
}

void StepLedger::leave(const Row& row) {
  ++report_.rows_out;
  ++report_.by_language[row.lang][1];
}

void StepLedger::note(const Row& row, std::string_view reason, std::string_view text,
                      std::string_view detail) {
  ++report_.reasons[std::string(reason)];
  std::map<uint64_t, PrepareExample>& kept = examples_[std::string(reason)];
  const uint64_t digest = hash64(row.id + row.path, row.record);
  if (kept.size() == kExamplesByReason && digest >= kept.rbegin()->first) return;
  // Masked as a whole before it is cut: half an address would not be found.
  const auto shown = [&](std::string_view s) {
    return snippet(mask_ ? mask_personal_data(s) : std::string(s));
  };
  kept[digest] = {std::string(reason), shown(text), row.source, row.path, shown(detail), row.record};
  if (kept.size() > kExamplesByReason) kept.erase(std::prev(kept.end()));
}

void StepLedger::drop(const Row& row, std::string_view reason, std::string_view detail) {
  ++report_.dropped;
  note(row, reason, row.text, detail);
}

void StepLedger::change(const Row& row, const std::vector<std::string>& reasons, std::string_view before) {
  ++report_.changed;
  for (const std::string& reason : reasons) note(row, reason, before, row.text);
}

PrepareStepReport StepLedger::finish() && {
  for (const auto& [reason, kept] : examples_) {
    for (const auto& [digest, example] : kept) report_.examples.push_back(example);
  }
  return std::move(report_);
}

}  // namespace volant
