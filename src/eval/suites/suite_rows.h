// The files that suites come in, read into rows. Inner header of suite.cc.
#pragma once
#include "eval/suites/suite.h"

namespace volant {

// A folder of SUBJECT_test.csv or SUBJECT_dev.csv (or one with such a folder test/ in it), or one CSV:
// question, choices, answer as index or letter; a header row is recognised.
Result<std::vector<SuiteRow>> read_mmlu(const Path& path);
// data / paragraphs / qas. Groups are paragraphs, as their questions hang together.
Result<std::vector<SuiteRow>> read_squad(const Path& path);
Result<std::vector<SuiteRow>> read_suite_jsonl(const Path& path, SuiteKind kind);

}  // namespace volant
