// The documents of a file: paragraphs of a text,
// rows of JSON Lines (`text` or `messages`), plain, `.gz` or `.zst`.
#pragma once
#include "eval/language_model.h"

namespace volant {

struct DocumentOptions {
  std::string separator;  // text: a line that holds only this ends a document; empty: a blank line does
  std::string text_field = "text";  // JSON Lines
  size_t limit = 0;                 // most documents taken, spread evenly over the file; 0: all
};

// Charset and language are found out. kInvalidArgument when the file holds no document.
Result<std::vector<EvalDocument>> read_eval_documents(const Path& path, const DocumentOptions& options = {});

}  // namespace volant
