// The readers of collect(), one for each kind of source, one file a reader. Each puts the records of one file
// into the sink; an error means that the file as a whole could not be read (or that writing failed: kIo), a
// bad row is told to the sink.
#pragma once
#include "data/collect.h"
#include "data/collect_sink.h"

namespace volant {

using ReadSource = Status (*)(const CollectSource&, const CollectOptions&, const Path&, CollectSink&);

Status read_text_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                        CollectSink& sink);
Status read_markdown_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                            CollectSink& sink);
Status read_html_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                        CollectSink& sink);
Status read_csv_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                       CollectSink& sink);
Status read_jsonl_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                         CollectSink& sink);

// The whole file (decompressed by its name) as UTF-8; `charset` empty: detect. Tells the sink the charset.
Result<std::string> read_decoded(const Path& path, std::string_view charset, uint64_t max_bytes,
                                 CollectSink& sink);

// "title,paragraphs" as {"title", "paragraphs"}; kInvalidArgument when nothing is named.
Result<std::vector<std::string>> split_fields(const std::string& text_field);

}  // namespace volant
