// Markdown files: a file is a record, or (separator "#") each heading with what stands below it.
#include "data/markdown.h"
#include "data/sources.h"

namespace volant {

Status read_markdown_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                            CollectSink& sink) {
  const std::string text = TRY(read_decoded(path, source.charset, options.max_file_bytes, sink));
  if (source.separator.empty()) return sink.add_text(text_of_markdown(text), 1);
  uint64_t record = 0;
  for (const std::string& section : sections_of_markdown(text)) {
    TRY(sink.add_text(text_of_markdown(section), ++record));
  }
  return {};
}

}  // namespace volant
