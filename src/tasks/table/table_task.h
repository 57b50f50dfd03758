// Rows of CSV files into classes or numbers. [data]: train (and test, validation): files; columns: names when
// there is no header line; label, or target for numbers; ignore, group, time, weight: columns that are no
// input; types = {zip = "category"}; missing = ["?", ""]; delimiter; strip_label = "."; min_count of a
// category's value.
#pragma once
#include "tasks/task.h"

namespace volant {
extern const Task kTableTask;
}  // namespace volant
