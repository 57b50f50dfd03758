#include "text/spm_word_model.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "text/bpe_model.h"
#include "text/unicode.h"
#include "text/unigram_model.h"

namespace volant {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581

int32_t unknown_id(const SpmModel& model) {
  const auto found = std::find_if(model.pieces.begin(), model.pieces.end(),
                                  [](const SpmPiece& piece) { return piece.type == PieceType::kUnknown; });
  return static_cast<int32_t>(found - model.pieces.begin());
}

// Dense ranks of the scores, highest first; equal scores have equal ranks.
std::map<float, int32_t, std::greater<>> ranks_of(const SpmModel& model) {
  std::map<float, int32_t, std::greater<>> ranks;
  for (const SpmPiece& piece : model.pieces) ranks.emplace(piece.score, 0);
  int32_t rank = 0;
  for (auto& [score, place] : ranks) place = rank++;
  return ranks;
}

}  // namespace

std::unique_ptr<WordModel> make_spm_unigram(const SpmModel& model) {
  std::vector<UnigramModel::Piece> pieces;
  UnigramModel::Options options;
  options.unk = unknown_id(model);
  options.single_precision = true;
  if (model.byte_fallback) options.byte_ids.resize(256);
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SpmPiece& piece = model.pieces[id];
    const auto use = piece.type == PieceType::kNormal        ? UnigramModel::Use::kNormal
                     : piece.type == PieceType::kUserDefined ? UnigramModel::Use::kAlways
                                                             : UnigramModel::Use::kNever;
    pieces.push_back({piece.text, static_cast<double>(piece.score), use});
    if (piece.type == PieceType::kByte)
      options.byte_ids[static_cast<size_t>(byte_piece_value(piece.text))] = static_cast<int32_t>(id);
  }
  return std::make_unique<UnigramModel>(pieces, std::move(options));
}

Result<std::unique_ptr<WordModel>> make_spm_bpe(const SpmModel& model) {
  BpeModel::Parts parts;
  parts.characters = true;
  parts.byte_fallback = model.byte_fallback;
  parts.fuse_unk = true;
  parts.unk = unknown_id(model);
  parts.n_real = model.pieces.size();
  std::unordered_map<std::string_view, int32_t> ids;  // of pieces that merging can begin with or make
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SpmPiece& piece = model.pieces[id];
    const bool plain = piece.type == PieceType::kNormal || piece.type == PieceType::kByte;
    parts.tokens.push_back(plain ? piece.text : "");
    if (piece.type == PieceType::kNormal) ids.emplace(piece.text, static_cast<int32_t>(id));
  }
  std::vector<std::pair<std::string_view, int32_t>> made;  // pieces by rank
  const auto ranks = ranks_of(model);
  for (const SpmPiece& piece : model.pieces) {
    if (piece.type != PieceType::kNormal || model.kind != SpmModel::Kind::kBpe) continue;
    made.emplace_back(piece.text, ranks.at(piece.score));
    for (size_t pos = 0; pos < piece.text.size();) {
      const size_t begin = pos;
      next_code_point(piece.text, pos);
      const std::string_view character = std::string_view(piece.text).substr(begin, pos - begin);
      // A character that is no piece by itself still is what merging begins with.
      if (ids.emplace(character, static_cast<int32_t>(parts.tokens.size())).second)
        parts.tokens.emplace_back(character);
    }
  }
  std::stable_sort(made.begin(), made.end(),
                   [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& [text, rank] : made) {
    for (size_t at = 1; at < text.size(); ++at) {
      const auto left = ids.find(text.substr(0, at));
      if (left == ids.end()) continue;
      const auto right = ids.find(text.substr(at));
      if (right == ids.end()) continue;
      parts.merges.push_back({left->second, right->second});
      parts.ranks.push_back(rank);
    }
  }
  return std::unique_ptr<WordModel>(std::make_unique<BpeModel>(TRY(BpeModel::build(std::move(parts)))));
}

bool blanks_begin_words(const SpmModel& model) {
  bool has_mark = false;
  for (const SpmPiece& piece : model.pieces) {
    if (piece.type != PieceType::kNormal) continue;
    std::string_view rest = piece.text;
    has_mark = has_mark || rest == kBlankMark;
    while (rest.starts_with(kBlankMark)) rest.remove_prefix(kBlankMark.size());
    if (rest.find(kBlankMark) != std::string_view::npos) return false;
  }
  return has_mark;
}

}  // namespace volant
