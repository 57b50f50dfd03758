// The Hugging Face hub's cache on this machine, as its own programs lay it out:
// models--OWNER--NAME/{blobs,refs,snapshots}. Looks up; what is not there is hub_download.h's to fetch.
#pragma once
#include <string>

#include "io/file.h"

namespace volant {

// $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub.
Path hub_cache();
// "name" or "owner/name", of letters, digits, '.', '_' and '-'.
bool is_hub_id(const std::string& name);
// The folder of a model in the cache.
Path hub_folder(const std::string& id);
// The snapshot that refs/main names, when a model can be opened from it (config.json and all of its weights);
// else empty.
Path cached_snapshot(const std::string& id);

}  // namespace volant
