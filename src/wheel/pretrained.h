// Models to go on from, by the name that a user gives: a folder, or an id on the Hugging Face hub.
#pragma once
#include <string>

#include "base/json.h"
#include "wheel/workspace.h"

namespace volant {

// A folder (relative to `base`), or an id such as "openai-community/gpt2" that is whole in the hub's cache
// (hub_cache.h). kNotFound says what was tried. Nothing is downloaded.
Result<Path> pretrained_folder(const Path& base, const std::string& path_or_id);

// The same, and an id that is not there is downloaded first (hub_download.h), as the environment says.
Result<Path> fetch_pretrained(const Path& base, const std::string& path_or_id);

// What a stage that reads such a folder depends on: where it is and the digests of its files; of an id that
// is still to be downloaded, the id.
Result<Json> pretrained_settings(Workspace& workspace, const std::string& path_or_id, bool cheap);

}  // namespace volant
