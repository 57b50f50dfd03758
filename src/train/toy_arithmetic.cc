#include "train/toy_arithmetic.h"

#include <array>

#include "data/messages.h"
#include "io/jsonl.h"
#include "train/job_fields.h"
#include "train/row_order.h"

namespace volant {
namespace {

struct Problem {
  std::string question, answer;
};

std::vector<Problem> all_problems(const ToyArithmetic& how) {
  std::vector<Problem> problems;
  for (const char operation : how.operations)
    for (int64_t a = 0; a <= how.max; ++a)
      for (int64_t b = 0; b <= (operation == '-' ? a : how.max); ++b) {
        const int64_t result = operation == '+' ? a + b : operation == '-' ? a - b : a * b;
        problems.push_back({fmt::format("{}{}{}=", a, operation, b), std::to_string(result)});
      }
  return problems;
}

}  // namespace

Result<ToyArithmetic> parse_toy_arithmetic(const Json& json) {
  static const std::array<std::string, 6> kKeys = {"max",          "n_test",     "n_train",
                                                   "n_validation", "operations", "seed"};
  if (!json.is_object()) return fail(ErrorCode::kInvalidArgument, "expected an object 'toy_arithmetic'");
  TRY(check_keys(json.as_object(), kKeys, " in 'toy_arithmetic'"));
  ToyArithmetic how;
  TRY(read_int(json, "max", 1, 999, how.max));
  TRY(read_int(json, "n_train", 1, 1 << 20, how.n_train));
  TRY(read_int(json, "n_validation", 0, 1 << 20, how.n_validation));
  TRY(read_int(json, "n_test", 0, 1 << 20, how.n_test));
  TRY(read_int(json, "seed", 0, INT64_MAX / 2, how.seed));
  how.operations = TRY(json_string_or(json, "operations", how.operations));
  const bool known = how.operations.find_first_not_of("+-*") == std::string::npos;
  if (how.operations.empty() || how.operations.size() > 3 || !known)
    return fail(ErrorCode::kInvalidArgument, "'operations': expected some of +-*, got '{}'", how.operations);
  return how;
}

Status write_toy_arithmetic(const ToyArithmetic& how, const Path& train, const Path& validation,
                            const Path& test) {
  const std::vector<Problem> problems = all_problems(how);
  const int64_t wanted = how.n_train + how.n_validation + how.n_test;
  if (wanted > std::ssize(problems))
    return fail(ErrorCode::kInvalidArgument, "there are {} problems with operands up to {}, expected {}",
                problems.size(), how.max, wanted);
  const std::vector<uint32_t> order = shuffled_rows(problems.size(), static_cast<uint64_t>(how.seed), 0);
  const auto write = [&](const Path& file, int64_t begin, int64_t n) -> Status {
    JsonlWriter writer = TRY(JsonlWriter::create(file));
    for (int64_t i = begin; i < begin + n; ++i) {
      const Problem& problem = problems[order[static_cast<size_t>(i)]];
      TRY(writer.write(JsonObject{{"messages", JsonArray{message_of("user", problem.question),
                                                         message_of("assistant", problem.answer)}},
                                  {"answer", problem.answer}}));
    }
    return writer.finish();
  };
  TRY(write(validation, 0, how.n_validation));
  if (how.n_test > 0) TRY(write(test, how.n_validation + how.n_train, how.n_test));
  return write(train, how.n_validation, how.n_train);
}

}  // namespace volant
