// A SentencePiece model file (the protocol buffer message ModelProto of google/sentencepiece), read and
// written by hand: the pieces with score and type, and the settings that matter for ids. What is read here
// has been checked, so that the library can be given it: pieces in UTF-8 without NUL, no duplicates, exactly
// one unknown piece, finite scores.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

enum class PieceType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct SpmPiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct SpmModel {
  enum class Kind : int32_t { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  std::vector<SpmPiece> pieces;
  Kind kind = Kind::kUnigram;
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  std::string bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>", unk_piece = "<unk>";
  std::string normalizer_name = "identity";
  std::string precompiled_charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// kParse or kLimit when the bytes are no such model.
Result<SpmModel> parse_spm_model(std::string_view bytes);
std::string serialize_spm_model(const SpmModel& model);
// What parse_spm_model promises, for a model that came another way.
Status check_spm_model(const SpmModel& model);
// The byte that "<0x0A>" names; -1 for any other text.
int byte_piece_value(std::string_view piece);

}  // namespace volant
