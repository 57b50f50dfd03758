#include "fuzz/fuzz_input.h"
#include "tasks/task.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Json> json = parse_json(fuzz::text_of(data, size));
  if (!json) return 0;
  const Result<TaskRow> row = parse_task_row(*json);
  if (!row) return 0;
  const Result<TaskRow> again = parse_task_row(to_json(*row));
  fuzz::require(again.has_value(), "what is written can be read");
  fuzz::require(dump_json(to_json(*again)) == dump_json(to_json(*row)), "writing is stable");
  return 0;
}
