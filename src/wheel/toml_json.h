// TOML tables as JSON, for sections that others read; and variables of the environment in their texts.
#pragma once
#include <string>
#include <string_view>

#include "base/json.h"
#include "wheel/toml_library.h"

namespace volant {

// Throws std::runtime_error (which with_toml() makes an error) for dates, times and tables nested too deeply.
Json json_of(const toml::node& node);
// "${NAME}" and "${NAME:-otherwise}" in a text. kInvalidArgument when a variable without otherwise is not
// set.
Result<std::string> with_variables(std::string_view text);
// The same in every text of `value`.
Status put_in_variables(Json& value);

}  // namespace volant
