#include "text/wordpiece_trainer.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "text/pre_tokenizer.h"
#include "text/text_normalizer.h"
#include "text/unicode.h"
#include "text/vocabulary_files.h"

namespace volant {
namespace {

constexpr const char* kSpecial[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr size_t kMaxWordCharacters = 100;  // as the tokenizer's own limit

using Pair = std::pair<int32_t, int32_t>;
struct HashPair {
  size_t operator()(const Pair& pair) const {
    return std::hash<uint64_t>()(static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 |
                                 static_cast<uint32_t>(pair.second));
  }
};

struct LearnedWord {
  std::vector<int32_t> pieces;
  int64_t count;
};

// Words in pieces, and every pair of neighbours with its count, kept up to date as pairs are joined.
class Merger {
 public:
  Merger(const std::map<std::string, int64_t>& words, int64_t n_tokens, int64_t min_count)
      : n_tokens_(static_cast<size_t>(n_tokens)), min_count_(min_count) {
    learn_characters(words);
    for (const auto& [word, count] : words) add_word(word, count);
    for (size_t w = 0; w < words_.size(); ++w) count_pairs(w, 1);
    for (const auto& [pair, count] : counts_) push(pair, count);
  }

  std::vector<std::string> run() {
    while (texts_.size() < n_tokens_ && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (counts_[best.pair] != best.count) continue;  // it has changed since it was put there
      if (best.count < min_count_) break;
      join(best.pair);
    }
    return std::move(texts_);
  }

 private:
  struct Candidate {
    int64_t count;
    Pair pair;
    // The most frequent first, then the pair that was known first.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  static std::vector<std::string> characters_of(const std::string& word) {
    std::vector<std::string> out;
    for (size_t pos = 0; pos < word.size();) {
      const size_t begin = pos;
      next_code_point(word, pos);
      out.push_back((begin == 0 ? "" : "##") + word.substr(begin, pos - begin));
    }
    return out;
  }

  void learn_characters(const std::map<std::string, int64_t>& words) {
    std::map<std::string, int64_t> counts;
    for (const auto& [word, count] : words)
      for (const std::string& character : characters_of(word)) counts[character] += count;
    std::vector<std::pair<int64_t, std::string>> order;
    for (const auto& [character, count] : counts)
      if (count >= min_count_) order.emplace_back(-count, character);
    std::sort(order.begin(), order.end());
    for (const auto& [count, character] : order)
      if (texts_.size() < n_tokens_) id_of(character);
  }

  int32_t id_of(const std::string& text) {
    const auto [found, is_new] = ids_.emplace(text, static_cast<int32_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return found->second;
  }

  // A word with a character that was not learned teaches nothing.
  void add_word(const std::string& word, int64_t count) {
    LearnedWord learned{.pieces = {}, .count = count};
    for (const std::string& character : characters_of(word)) {
      const auto found = ids_.find(character);
      if (found == ids_.end()) return;
      learned.pieces.push_back(found->second);
    }
    if (learned.pieces.size() <= kMaxWordCharacters) words_.push_back(std::move(learned));
  }

  void count_pairs(size_t w, int64_t sign) {
    const LearnedWord& word = words_[w];
    for (size_t i = 0; i + 1 < word.pieces.size(); ++i) {
      const Pair pair(word.pieces[i], word.pieces[i + 1]);
      counts_[pair] += sign * word.count;
      if (sign > 0) where_[pair].push_back(static_cast<uint32_t>(w));
      changed_.push_back(pair);
    }
  }

  void push(const Pair& pair, int64_t count) {
    if (count > 0) queue_.push({count, pair});
  }

  void join(const Pair& pair) {
    const std::string& left = texts_[static_cast<size_t>(pair.first)];
    const int32_t joined = id_of(left + texts_[static_cast<size_t>(pair.second)].substr(2));
    std::vector<uint32_t> words = std::move(where_[pair]);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    changed_.clear();
    for (const uint32_t w : words) {
      count_pairs(w, -1);
      std::vector<int32_t>& pieces = words_[w].pieces;
      size_t to = 0;
      for (size_t i = 0; i < pieces.size(); ++to) {
        const bool here = i + 1 < pieces.size() && pieces[i] == pair.first && pieces[i + 1] == pair.second;
        pieces[to] = here ? joined : pieces[i];
        i += here ? 2 : 1;
      }
      pieces.resize(to);
      count_pairs(w, 1);
    }
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair& other : changed_) push(other, counts_[other]);
  }

  size_t n_tokens_;
  int64_t min_count_;
  std::vector<std::string> texts_;  // by id
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<LearnedWord> words_;
  std::unordered_map<Pair, int64_t, HashPair> counts_;
  std::unordered_map<Pair, std::vector<uint32_t>, HashPair> where_;  // words that may hold it
  std::vector<Pair> changed_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<std::string> learn_word_pieces(const std::map<std::string, int64_t>& words, int64_t n_tokens,
                                           int64_t min_count) {
  return Merger(words, n_tokens, min_count).run();
}

Result<std::unique_ptr<Tokenizer>> train_wordpiece(std::span<const std::string> texts,
                                                   const WordPieceTrainOptions& options) {
  if (options.vocab_size < 100 || options.vocab_size > 262'144)
    return fail(ErrorCode::kInvalidArgument, "expected vocab_size from 100 to 262144, got {}",
                options.vocab_size);
  if (options.min_count < 1)
    return fail(ErrorCode::kInvalidArgument, "expected min_count of at least 1, got {}", options.min_count);
  const TextNormalizer normalizer =
      TRY(TextNormalizer::parse(JsonObject{{"type", "BertNormalizer"},
                                           {"clean_text", true},
                                           {"handle_chinese_chars", options.split_han},
                                           {"strip_accents", nullptr},
                                           {"lowercase", options.lowercase}}));
  const PreTokenizer pre_tokenizer = TRY(PreTokenizer::parse(JsonObject{{"type", "BertPreTokenizer"}}));
  std::map<std::string, int64_t> words;
  for (const std::string& text : texts) {
    const AlignedText clean = AlignedText::of(normalizer.apply(to_valid_utf8(text)), false);
    std::vector<Word> found;
    std::deque<AlignedText> storage;
    pre_tokenizer.split(clean, true, found, storage);
    for (const Word& word : found) ++words[std::string(word.text)];
  }
  std::vector<std::string> tokens(std::begin(kSpecial), std::end(kSpecial));
  const auto n_special = static_cast<int64_t>(tokens.size());
  for (std::string& piece : learn_word_pieces(words, options.vocab_size - n_special, options.min_count))
    if (std::find(tokens.begin(), tokens.begin() + n_special, piece) == tokens.begin() + n_special)
      tokens.push_back(std::move(piece));
  TokenizerConfig config;
  config.tokenizer_class = "BertTokenizer";
  config.json = {{"tokenizer_class", "BertTokenizer"},
                 {"do_lower_case", options.lowercase},
                 {"tokenize_chinese_chars", options.split_han},
                 {"strip_accents", nullptr},
                 {"pad_token", "[PAD]"},
                 {"unk_token", "[UNK]"},
                 {"cls_token", "[CLS]"},
                 {"sep_token", "[SEP]"},
                 {"mask_token", "[MASK]"}};
  return make_bert_tokenizer(std::move(tokens), config);
}

}  // namespace volant
