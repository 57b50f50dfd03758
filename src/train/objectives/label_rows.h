// Rows of classifiers: {"text", "text_pair"?, "label"} of whole texts, {"tokens": [words], "tags": [labels]}
// of words; JSON Lines, or CSV with these columns. A label is a text, a whole number or true and false.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "train/objectives/text_batch.h"

namespace volant {

struct LabelRow {
  std::string text;
  std::optional<std::string> pair;
  std::vector<std::string> words;   // of words; `text` is empty then
  std::vector<std::string> labels;  // one, or one for each word
  std::string place;                // "file:line"
};

// kParse names file, line and field; kInvalidArgument when there is no row or the rows are of both kinds.
Result<std::vector<LabelRow>> read_label_rows(const Path& file);
// The names that occur, in the order of ordered_labels().
std::vector<std::string> label_names(const std::vector<LabelRow>& rows);
// Whole numbers by size, other names by their bytes.
std::vector<std::string> ordered_labels(const std::set<std::string>& names);

// A row as a model sees it: labels of the rows of the text that are read out.
struct LabelExample {
  EncodedText text;
  std::vector<int32_t> rows, labels;
};
// A label of a whole text stands at its first or last row, as the model reads it; that of a word at its first
// token. kInvalidArgument names a label that `names` has not.
Result<LabelExample> label_example(const LabelRow& row, const std::vector<std::string>& names,
                                   const Tokenizer& tokenizer, bool at_last_row, int64_t max_tokens);

}  // namespace volant
