// Inputs as they come in life: texts with typos, tables with gaps and outliers, pictures shifted, blurred and
// noisy. Pure functions of input and seed. For robustness reports of models that predict.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "tasks/task.h"

namespace volant {

struct InputChange {
  std::string name;  // "typos", "missing fields (30 %)", "shifted by 2 pixels"
  // kInvalidArgument for an input that is none of the task's.
  std::function<Result<Json>(const Json& input, Random& random)> apply;
};

// Those that fit inputs of this encoder; "empty" of texts where it takes those, tables refuse a row of
// nothing. Pictures keep their size, gaps never take a row's last field.
Result<std::vector<InputChange>> input_changes(const InputEncoder& encoder);

}  // namespace volant
