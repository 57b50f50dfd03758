// Downloads a model from the Hugging Face hub, or a server that answers like it, into the hub's own cache:
// what opens a model and nothing else (config.json, tokenizer, chat template, sentence settings,
// *.safetensors). A file comes into the cache whole and checked; a partial one is gone on with, by the same
// or another program. Asks for no password and keeps no token; the revision is always `main`. Source:
// https://huggingface.co/docs/huggingface_hub, "Understand caching" and the HTTP API of the hub.
#pragma once
#include <cstdint>
#include <string>

#include "io/file.h"

namespace volant {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token = {};  // sent to the endpoint alone, never to where it redirects; never logged
  bool offline = false;
  uint64_t max_bytes = 512ULL << 30;  // of all files of a model
  double retry_seconds = 1;           // before the second try; twice as long before each further one
};

// $HF_ENDPOINT, $HF_TOKEN, $HF_HUB_OFFLINE (or $TRANSFORMERS_OFFLINE): "1", "true", "yes", "on".
HubOptions hub_options();

// The snapshot's folder in the cache. refs/main is written last. Says its progress on standard error.
// kUnavailable (offline, or nobody answers), kNotFound (no such model, or no safetensors in it),
// kUnauthorized (a token is needed), kLimit (too big, or no room on the disk), kParse (a digest that is
// wrong), kCancelled.
Result<Path> download_model(const std::string& id, const HubOptions& options);

}  // namespace volant
