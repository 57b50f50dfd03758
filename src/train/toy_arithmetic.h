// Toy arithmetic: sums and differences that a rule can check, as rows of conversations with their answer: a
// task for trying out fine-tuning and rewards. {"messages": [{user, "7+5="}, {assistant, "12"}], "answer":
// "12"}. Training, validation and test share no
// problem.
#pragma once
#include <optional>

#include "base/json.h"
#include "io/file.h"

namespace volant {

struct ToyArithmetic {
  int64_t max = 20;               // operands are 0 .. max
  std::string operations = "+-";  // of "+-*"; a difference is never below 0
  int64_t n_train = 256, n_validation = 64, n_test = 0;
  int64_t seed = 1;
};

Result<ToyArithmetic> parse_toy_arithmetic(const Json& json);
// Writes the files as JSON Lines, `test` when it has rows; kInvalidArgument when there are fewer problems
// than rows.
Status write_toy_arithmetic(const ToyArithmetic& how, const Path& train, const Path& validation,
                            const Path& test);

}  // namespace volant
