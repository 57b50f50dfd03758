// For tests: the reference values of golden/*.json.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "support/test_data.h"

namespace volant::testing {

inline Json golden_metrics(const std::string& name) {
  return parse_json(read_file(source_dir() / "src/eval/metrics/golden" / name).value()).value();
}

template <class Number>
std::vector<Number> numbers_of(const Json& array) {
  std::vector<Number> numbers;
  for (const Json& value : array.as_array()) numbers.push_back(value.to_number<Number>());
  return numbers;
}

}  // namespace volant::testing
