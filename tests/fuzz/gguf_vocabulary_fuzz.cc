#include "fuzz/tokenizer_check.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<GgufFile> file = GgufFile::open(fuzz::folder().put("x.gguf", fuzz::text_of(data, size)));
  if (!file) return 0;
  const auto tokenizer = load_tokenizer(*file);
  if (tokenizer) fuzz::exercise(**tokenizer);
  return 0;
}
