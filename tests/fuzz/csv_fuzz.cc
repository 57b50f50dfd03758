// The first byte chooses the separator and the quote.
#include "fuzz/fuzz_input.h"
#include "io/csv.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  CsvOptions options;
  options.separator = "\0,;\t"[data[0] % 4];
  options.quote = (data[0] & 4) != 0 ? '\0' : '"';
  options.header = (data[0] & 8) == 0;
  options.max_record_bytes = 4096;
  options.max_columns = 64;
  Result<CsvReader> reader =
      CsvReader::from_text(std::string(fuzz::text_of(data + 1, size - 1)), "x.csv", options);
  if (!reader) return 0;
  (void)reader->column("name");
  size_t columns = reader->header().size();
  for (size_t i = 0; i <= size + 1; ++i) {
    const Result<std::optional<CsvRecord>> record = reader->next();
    if (!record) continue;
    if (!record->has_value()) return 0;
    if (columns == 0) columns = (*record)->fields.size();
    fuzz::require((*record)->fields.size() == columns, "every record has as many fields as the first");
  }
  fuzz::require(false, "the reader comes to its end");
  return 0;
}
