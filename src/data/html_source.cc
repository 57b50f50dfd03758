// HTML files: a page is a record.
// The charset is that of the source, else what the page declares, else found out.
#include "data/html.h"
#include "data/sources.h"
#include "io/line_reader.h"

namespace volant {
namespace {

Result<DecodedText> decode_page(std::string_view bytes, const std::string& charset) {
  if (!charset.empty()) return decode_text(bytes, charset);
  const std::string declared = declared_charset(bytes);
  if (!declared.empty()) {
    // A page may declare what does not exist, or what it is not.
    Result<DecodedText> decoded = decode_text(bytes, declared);
    if (decoded && !decoded->lossy) return decoded;
  }
  return decode_text(bytes);
}

}  // namespace

Status read_html_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                        CollectSink& sink) {
  const std::string bytes = TRY(read_content(path, options.max_file_bytes));
  const DecodedText decoded = TRY(decode_page(bytes, source.charset));
  sink.note_charset(decoded);
  const HtmlText page = TRY(text_of_html(decoded.text));
  return sink.add_text(page.text, 1);
}

}  // namespace volant
