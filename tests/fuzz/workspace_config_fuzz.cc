#include "fuzz/fuzz_input.h"
#include "wheel/config.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)parse_config(fuzz::text_of(data, size), "volant.toml");
  return 0;
}
