// What a model is asked in a suite, and what its answer says: prompts with solved examples, and the
// extraction of numbers, code and first lines from what it writes. Pure functions on text.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/suites/suite.h"

namespace volant {

// The text before the model's own, `examples` first. Multiple choice is asked as Hendrycks et al. (2021) ask
// MMLU: a line that names the subject, questions with lettered choices and "Answer:". `chat`: for a message
// to a model that follows instructions, which says what form the answer shall have.
std::string suite_prompt(const Suite& suite, const SuiteRow& row, std::span<const SuiteRow> examples,
                         bool chat);
// Texts that end an answer of a model that only continues text.
std::vector<std::string> suite_stops(SuiteKind kind);

// The number that an answer ends with: behind "####" when that is there, else the last one; empty when none
// is.
std::string final_number(std::string_view answer);
// The whole program that tests an answer: prompt and completion (or the answer's own code block that defines
// the function), then the row's test.
std::string test_program(const SuiteRow& row, std::string_view answer);
// The first line that is not empty, without blanks around it.
std::string first_line(std::string_view answer);

}  // namespace volant
