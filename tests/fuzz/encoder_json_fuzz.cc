// The first line is encoder.json of a model's folder, the rest an input.
#include "fuzz/fuzz_input.h"
#include "tasks/task.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const size_t line = std::min(text.find('\n'), text.size());
  const Path folder = fuzz::folder().put("encoder.json", text.substr(0, line)).parent_path();
  fuzz::folder().put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n");
  const Result<std::unique_ptr<InputEncoder>> encoder = load_encoder(folder);
  if (!encoder) return 0;
  fuzz::require((*encoder)->save(folder / "again").has_value(), "what is read can be written");
  const Result<std::unique_ptr<InputEncoder>> again = load_encoder(folder / "again");
  fuzz::require(again && (*again)->schema() == (*encoder)->schema(), "what is written can be read");
  const Result<Json> input = parse_json(text.substr(std::min(line + 1, text.size())));
  if (!input) return 0;
  const Result<EncodedInput> encoded = (*encoder)->encode(*input);
  if (!encoded) return 0;
  fuzz::require(std::ssize(encoded->features) == (*encoder)->n_features(), "an input has all its features");
  for (const int32_t id : encoded->tokens)
    fuzz::require(id >= 0 && id < (*encoder)->n_vocab(), "tokens are of the vocabulary");
  (void)(*encoder)->origin(*input, 0);
  return 0;
}
