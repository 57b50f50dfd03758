// Rows of the feedback table, each with the answer it is about.
#pragma once
#include <string>
#include <vector>

#include "feedback/feedback.h"

namespace volant {
// `rest` follows the FROM clause ("WHERE f.id = ?"); the table is `f`, the answer `a`.
Result<std::vector<Feedback>> feedback_rows(Registry& registry, const std::string& rest,
                                            const std::vector<SqlValue>& values);
}  // namespace volant
