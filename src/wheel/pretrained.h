// Models to go on from, by the name that a user gives: a folder, or an id on the Hugging Face hub that has
// been downloaded before.
#pragma once
#include <string>

#include "base/json.h"
#include "wheel/workspace.h"

namespace volant {

// A folder (relative to `base`), or an id such as "openai-community/gpt2" in the hub's own cache:
// $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub. kNotFound says what was tried and how to download
// it.
Result<Path> pretrained_folder(const Path& base, const std::string& path_or_id);

// What a stage that reads such a folder depends on: where it is and the digests of its files.
Result<Json> pretrained_settings(Workspace& workspace, const std::string& path_or_id, bool cheap);

}  // namespace volant
