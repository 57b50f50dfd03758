#include "eval/metrics/edit_distance.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "eval/metrics/tokens.h"
#include "text/unicode.h"

namespace volant {
namespace {

template <class Sequence>
Result<int64_t> distance_of(const Sequence& a, const Sequence& b) {
  if (!b.empty() && a.size() > kMaxEditCells / b.size())
    return fail(ErrorCode::kLimit,
                "edit distance: expected texts of at most {} pairs of positions, got {} x {}", kMaxEditCells,
                a.size(), b.size());
  std::vector<int64_t> row(b.size() + 1);  // distances of a[0, i) to every beginning of b
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<int64_t> edit_distance(std::string_view a, std::string_view b) {
  return distance_of(to_code_points(a), to_code_points(b));
}

Result<EditCounts> character_errors(std::string_view hypothesis, std::string_view reference) {
  const std::u32string expected = to_code_points(reference);
  return EditCounts{TRY(distance_of(to_code_points(hypothesis), expected)),
                    static_cast<int64_t>(expected.size())};
}

Result<EditCounts> word_errors(std::string_view hypothesis, std::string_view reference) {
  const std::vector<std::string> expected = split_white_space(reference);
  return EditCounts{TRY(distance_of(split_white_space(hypothesis), expected)),
                    static_cast<int64_t>(expected.size())};
}

Result<double> error_rate(const EditCounts& counts) {
  if (counts.reference <= 0)
    return fail(ErrorCode::kInvalidArgument, "error rate: expected a reference that is not empty");
  return static_cast<double>(counts.distance) / static_cast<double>(counts.reference);
}

}  // namespace volant
