#include "fuzz/fuzz_input.h"
#include "models/llama_config.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Json> json = parse_json(fuzz::text_of(data, size));
  if (!json) return 0;
  const Result<LlamaConfig> config = LlamaConfig::from_json(*json);
  if (!config) return 0;
  fuzz::require(config->n_parameters() > 0, "sizes do not overflow");
  fuzz::require(config->rope_inv_freq().size() == static_cast<size_t>(config->head_dim / 2),
                "a frequency for each pair");
  const Result<LlamaConfig> again = LlamaConfig::from_json(config->to_json());
  fuzz::require(again.has_value(), "what is written can be read");
  fuzz::require(dump_json(again->to_json()) == dump_json(config->to_json()), "writing is stable");
  return 0;
}
