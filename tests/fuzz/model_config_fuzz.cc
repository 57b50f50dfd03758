#include "fuzz/fuzz_input.h"
#include "models/model_config.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Json> json = parse_json(fuzz::text_of(data, size));
  if (!json) return 0;
  const Result<ModelConfig> config = ModelConfig::from_json(*json);
  if (!config) return 0;
  fuzz::require(config->n_parameters() > 0, "sizes do not overflow");
  const Result<ModelConfig> again = ModelConfig::from_json(config->to_json());
  fuzz::require(again.has_value(), "what is written can be read");
  fuzz::require(dump_json(again->to_json()) == dump_json(config->to_json()), "writing is stable");
  return 0;
}
