// Texts and pairs of texts into classes or numbers. [data]: train (and test, validation): .csv, .tsv, .jsonl
// or .txt files, plain, .gz or .zst; text, text_pair, label or target: names of columns, or their numbers
// from 0; has_header; max_length in tokens; segment = "icu" puts blanks between words first (Chinese,
// Japanese, Thai); vocab_size, min_count, lowercase of the WordPiece vocabulary that is learned when [model]
// has no init_from.
#pragma once
#include "tasks/task.h"

namespace volant {
extern const Task kTextTask;
}  // namespace volant
