#include "fuzz/tokenizer_check.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::folder().put("vocab.txt", fuzz::text_of(data, size));
  const auto tokenizer = load_tokenizer(fuzz::folder().path());
  if (tokenizer) fuzz::exercise(**tokenizer);
  return 0;
}
