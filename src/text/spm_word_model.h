// The models of SentencePiece as word models: which merges a BPE vocabulary with scores means.
#pragma once
#include <memory>

#include "text/spm_model.h"
#include "text/word_model.h"

namespace volant {
std::unique_ptr<WordModel> make_spm_unigram(const SpmModel& model);
// SentencePiece joins any two neighbours that make a piece, the highest score first: every way to split a
// piece is a merge. Unused pieces are never made. Also for models of single characters, which join nothing.
Result<std::unique_ptr<WordModel>> make_spm_bpe(const SpmModel& model);
// No piece holds a blank behind another character, so texts can be cut before blanks.
bool blanks_begin_words(const SpmModel& model);
}  // namespace volant
