// The one schema of a workspace's database, as the list of its migrations.
#pragma once
#include "store/database.h"

namespace volant {
const std::vector<Migration>& workspace_schema();
}  // namespace volant
