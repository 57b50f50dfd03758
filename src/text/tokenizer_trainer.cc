#include "text/tokenizer_trainer.h"

#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "base/digest.h"
#include "base/stop.h"
#include "text/chat_template.h"
#include "text/spm_tokenizer.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr int kMinVocab = 400, kMaxVocab = 262144;
constexpr int kReserved = 8 + 256;     // control pieces and bytes
constexpr double kMinCoverage = 0.98;  // what the library insists on
constexpr double kMaxCharacterShare =
    0.7;  // of the vocabulary: single characters; the rest is for longer pieces
constexpr size_t kMaxLineBytes = 4000;
constexpr uint64_t kMinBytes = 100;
// SentencePiece's result depends on how many threads share the work, so it is fixed.
constexpr const char* kThreads = "2";

// A number for text `index` that decides whether it is among the texts that are read.
uint64_t lot(uint64_t seed, uint64_t index) {
  uint64_t x = seed * 0x9E3779B97F4A7C15ULL + index;
  for (int i = 0; i < 2; ++i) {
    x ^= x >> 31;
    x *= 0xBF58476D1CE4E5B9ULL;
  }
  return x ^ (x >> 29);
}

// The texts as lines. When they are more than `max_bytes`,
// a share of them that does not depend on their order of size.
class Sample {
 public:
  Sample(uint64_t max_bytes, uint64_t seed) : max_bytes_(max_bytes), seed_(seed) {}

  void add(std::string_view text) {
    const uint64_t number = lot(seed_, n_++);
    if (number > limit_) return;
    Kept kept{number, {}};
    const std::string valid = to_valid_utf8(text);
    for (size_t pos = 0; pos < valid.size();) {
      const size_t end = std::min(valid.find('\n', pos), valid.size());
      add_line(std::string_view(valid).substr(pos, end - pos), kept);
      pos = end + 1;
    }
    for (const std::string& line : kept.lines) n_bytes_ += line.size();
    texts_.push_back(std::move(kept));
    while (n_bytes_ > max_bytes_ && texts_.size() > 1) halve();
  }
  uint64_t n_texts() const { return texts_.size(); }
  uint64_t n_bytes() const { return n_bytes_; }
  std::vector<std::string> take_lines() {
    std::vector<std::string> lines;
    for (Kept& kept : texts_) std::move(kept.lines.begin(), kept.lines.end(), std::back_inserter(lines));
    texts_.clear();
    return lines;
  }

 private:
  struct Kept {
    uint64_t number;
    std::vector<std::string> lines;
  };
  static void add_line(std::string_view line, Kept& kept) {
    while (!line.empty()) {
      size_t size = std::min(line.size(), kMaxLineBytes);
      if (size < line.size()) {
        const size_t blank = line.rfind(' ', size);
        if (blank != std::string_view::npos && blank > size / 2) size = blank;
        size -= incomplete_utf8_tail(line.substr(0, size));
      }
      std::string part(line.substr(0, size));
      std::erase(part, '\0');
      if (!part.empty()) kept.lines.push_back(std::move(part));
      line.remove_prefix(size);
    }
  }
  void halve() {
    limit_ /= 2;
    std::erase_if(texts_, [this](const Kept& kept) { return kept.number > limit_; });
    n_bytes_ = 0;
    for (const Kept& kept : texts_)
      for (const std::string& line : kept.lines) n_bytes_ += line.size();
  }
  uint64_t max_bytes_, seed_, limit_ = ~0ULL, n_ = 0, n_bytes_ = 0;
  std::vector<Kept> texts_;
};

// The share of characters that the commonest `most` different ones make up, or `wanted` when that is less.
double coverage(const std::vector<std::string>& lines, size_t most, double wanted) {
  std::unordered_map<char32_t, uint64_t> counts;
  uint64_t total = 0;
  for (const std::string& line : lines)
    for (size_t pos = 0; pos < line.size(); ++total) ++counts[next_code_point(line, pos)];
  if (counts.size() <= most || total == 0) return wanted;
  std::vector<uint64_t> sorted;
  sorted.reserve(counts.size());
  for (const auto& [c, n] : counts) sorted.push_back(n);
  std::sort(sorted.rbegin(), sorted.rend());
  uint64_t covered = 0;
  for (size_t i = 0; i < most; ++i) covered += sorted[i];
  // A little less, so that the library's rounding does not take one more character than fits.
  return std::min(wanted, static_cast<double>(covered) / static_cast<double>(total) - 1e-6);
}

class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return at_ == lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  size_t at_ = 0;
};

std::unordered_map<std::string, std::string> settings(const TokenizerTrainOptions& options, double covered) {
  return {{"model_type", options.algorithm},
          {"vocab_size", std::to_string(options.vocab_size)},
          {"character_coverage", fmt::format("{:.8f}", covered)},
          {"byte_fallback", "true"},
          {"normalization_rule_name", "identity"},
          {"remove_extra_whitespaces", "false"},
          {"allow_whitespace_only_pieces", "true"},
          {"split_digits", "true"},
          {"hard_vocab_limit", "false"},
          {"max_sentence_length", std::to_string(2 * kMaxLineBytes)},
          {"unk_id", "0"},
          {"bos_id", "1"},
          {"eos_id", "2"},
          {"pad_id", "3"},
          {"control_symbols", "<|system|>,<|user|>,<|assistant|>,<|end|>"},
          {"num_threads", kThreads},
          {"minloglevel", "2"}};
}

Status check_options(const TokenizerTrainOptions& options) {
  if (options.algorithm != "bpe" && options.algorithm != "unigram")
    return fail(ErrorCode::kInvalidArgument, "expected algorithm bpe or unigram, got '{}'",
                options.algorithm);
  if (options.vocab_size < kMinVocab || options.vocab_size > kMaxVocab)
    return fail(ErrorCode::kInvalidArgument, "expected vocab_size from {} to {}, got {}", kMinVocab,
                kMaxVocab, options.vocab_size);
  if (!(options.character_coverage >= kMinCoverage && options.character_coverage <= 1))
    return fail(ErrorCode::kInvalidArgument, "expected character_coverage from {} to 1, got {}", kMinCoverage,
                options.character_coverage);
  return {};
}

JsonObject tokenizer_config() {
  return {{"tokenizer_class", "LlamaTokenizer"},
          {"add_bos_token", true},
          {"add_eos_token", false},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"},
          {"unk_token", "<unk>"},
          {"pad_token", "<pad>"},
          {"legacy", true},
          {"clean_up_tokenization_spaces", false},
          {"spaces_between_special_tokens", false},
          {"sp_model_kwargs", JsonObject{}},
          {"chat_template", default_chat_template()}};
}

Result<std::string> run_library(const std::vector<std::string>& lines, const TokenizerTrainOptions& options) {
  const auto most = static_cast<size_t>(kMaxCharacterShare * (options.vocab_size - kReserved));
  const double covered = coverage(lines, most, options.character_coverage);
  if (covered < kMinCoverage)
    return fail(
        ErrorCode::kInvalidArgument,
        "a vocabulary of {} has room for only {:.1f} % of the characters of these texts, {:.0f} % are "
        "needed: take a larger vocab_size",
        options.vocab_size, 100 * covered, 100 * kMinCoverage);
  std::string model;
  try {
    Lines iterator(lines);
    const auto status =
        sentencepiece::SentencePieceTrainer::Train(settings(options, covered), &iterator, &model);
    if (!status.ok())
      return fail(ErrorCode::kInvalidArgument, "cannot learn a vocabulary of {} from these texts: {}",
                  options.vocab_size, status.ToString());
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, "SentencePiece failed: {}", error.what());
  }
  return model;
}

}  // namespace

Result<TokenizerTrainResult> train_tokenizer(const NextText& next_text, const TokenizerTrainOptions& options,
                                             const Path& folder) {
  if (Status status = check_options(options); !status) return std::move(status).error();
  Sample sample(options.max_bytes, options.seed);
  while (true) {
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped before the vocabulary was learned");
    const std::optional<std::string> text = TRY(next_text());
    if (!text) break;
    sample.add(*text);
  }
  TokenizerTrainResult result{0, sample.n_texts(), sample.n_bytes()};
  if (result.n_bytes < kMinBytes)
    return fail(ErrorCode::kInvalidArgument,
                "expected at least {} bytes of text to learn a vocabulary from, got {}", kMinBytes,
                result.n_bytes);
  SpmTokenizer::Parts parts;
  parts.bytes = TRY(run_library(sample.take_lines(), options));
  parts.model = TRY(parse_spm_model(parts.bytes));
  parts.config = tokenizer_config();
  const auto tokenizer = TRY(SpmTokenizer::build(std::move(parts)));
  if (Status status = tokenizer->save(folder); !status) return std::move(status).error();
  result.n_vocab = tokenizer->n_vocab();
  return result;
}

Result<TokenizerTrainResult> train_tokenizer(const std::vector<std::string>& texts,
                                             const TokenizerTrainOptions& options, const Path& folder) {
  size_t at = 0;
  const NextText next = [&]() -> Result<std::optional<std::string>> {
    if (at == texts.size()) return std::optional<std::string>();
    return std::optional<std::string>(texts[at++]);
  };
  return train_tokenizer(next, options, folder);
}

}  // namespace volant
