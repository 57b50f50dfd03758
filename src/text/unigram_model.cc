#include "text/unigram_model.h"

#include <algorithm>
#include <cfloat>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr double kUnknownPenalty = 10;      // below the least likely piece
constexpr size_t kMaxKeptSteps = 1U << 20;  // memory that a thread keeps for the next text
constexpr int32_t kUnknown = -1;            // in a path: a character that is no piece

size_t character_bytes(std::string_view text, size_t pos) {
  const auto lead = static_cast<unsigned char>(text[pos]);
  const size_t n = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return std::min(n, text.size() - pos);
}

}  // namespace

UnigramModel::UnigramModel(const std::vector<Piece>& pieces, Options options) : options_(std::move(options)) {
  std::vector<std::pair<std::string_view, int32_t>> keys;
  double least = FLT_MAX,
         most = FLT_MIN;  // where the library begins: user-defined pieces cost next to nothing
  for (size_t id = 0; id < pieces.size(); ++id) {
    scores_.push_back(pieces[id].score);
    uses_.push_back(pieces[id].use);
    if (pieces[id].use == Use::kNever || pieces[id].text.empty()) continue;
    keys.emplace_back(pieces[id].text, static_cast<int32_t>(id));
    if (pieces[id].use == Use::kAlways) continue;
    least = std::min(least, pieces[id].score);
    most = std::max(most, pieces[id].score);
  }
  unk_score_ = options_.single_precision
                   ? static_cast<double>(static_cast<float>(least) - static_cast<float>(kUnknownPenalty))
                   : least - kUnknownPenalty;
  max_score_ = most;
  trie_ = ByteTrie(std::move(keys));
}

template <class Score>
void UnigramModel::best_path(std::string_view text, std::vector<WordToken>& path) const {
  // The best way to reach each position.
  struct Step {
    Score score = 0;
    int32_t id = kUnknown;
    uint32_t n_bytes = 0;  // of the last piece; 0: not reached yet
  };
  thread_local std::vector<Step> steps;
  steps.assign(text.size() + 1, Step{});
  for (size_t begin = 0; begin < text.size();) {
    const size_t one = character_bytes(text, begin);
    const double till_here = static_cast<double>(steps[begin].score);
    bool has_single = false;
    const auto reach = [&](size_t end, int32_t id, double score) {
      const double total = till_here + score;
      Step& step = steps[end];
      if (step.n_bytes == 0 || total > static_cast<double>(step.score))
        step = {static_cast<Score>(total), id, static_cast<uint32_t>(end - begin)};
    };
    uint32_t node = ByteTrie::kRoot;
    for (size_t end = begin; end < text.size();) {
      node = trie_.step(node, text[end++]);
      if (node == 0) break;
      const int32_t id = trie_.value(node);
      if (id == ByteTrie::kNone) continue;
      const auto index = static_cast<size_t>(id);
      const bool always = uses_[index] == Use::kAlways;
      reach(end, id, always ? static_cast<double>(end - begin) * max_score_ - 0.1 : scores_[index]);
      has_single = has_single || end - begin == one;
    }
    if (!has_single) reach(begin + one, kUnknown, unk_score_);
    begin += one;
  }
  for (size_t end = text.size(); end > 0;) {
    const Step& step = steps[end];
    path.push_back({step.id, end - step.n_bytes, end});
    end -= step.n_bytes;
  }
  std::reverse(path.begin(), path.end());
  if (steps.size() > kMaxKeptSteps) std::vector<Step>().swap(steps);
}

void UnigramModel::path_of(std::string_view text, std::vector<WordToken>& path) const {
  path.clear();
  if (options_.single_precision)
    best_path<float>(text, path);
  else
    best_path<double>(text, path);
}

void UnigramModel::encode(std::string_view text, std::vector<int32_t>& ids) const {
  thread_local std::vector<WordToken> tokens;
  tokens.clear();
  locate(text, tokens);
  for (const WordToken& token : tokens) ids.push_back(token.id);
}

void UnigramModel::locate(std::string_view text, std::vector<WordToken>& tokens) const {
  thread_local std::vector<WordToken> path;
  path_of(text, path);
  for (size_t i = 0; i < path.size(); ++i) {
    WordToken token = path[i];
    if (token.id != kUnknown) {
      tokens.push_back(token);
      continue;
    }
    if (options_.fuse_unk)
      while (i + 1 < path.size() && path[i + 1].id == kUnknown) token.end = path[++i].end;
    if (options_.byte_ids.empty()) {
      tokens.push_back({options_.unk, token.begin, token.end});
      continue;
    }
    for (size_t at = token.begin; at < token.end; ++at)
      tokens.push_back({options_.byte_ids[static_cast<unsigned char>(text[at])], token.begin, token.end});
  }
}

}  // namespace volant
