// SentencePiece models beside the library itself: the same ids for random texts.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include "base/random.h"
#include "support/test_data.h"
#include "text/spm_tokenizer.h"
#include "text/unicode.h"

namespace volant {
namespace {

std::string random_text(Random& random) {
  static const char* kParts[] = {"the ", "boat", "s",         " ",      "  ",  "é",    "e\xCC\x81",
                                 "你",   "好",   "北京",      "ﬁ",      "①",   "\t",   "\n",
                                 "▁",    "a",    "Once upon", "12",     "3.5", "ＡＢ", "\xC2\xA0",
                                 "😀",    "ing",  "un",        "<user>", "xyz", "ab",   "aab"};
  std::string text;
  const uint64_t n = random.below(14);
  for (uint64_t i = 0; i < n; ++i) text += kParts[random.below(std::size(kParts))];
  return text;
}

// Ids of the library and ours for what stands in no special token.
void expect_same(const std::string& bytes, int n_texts) {
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.LoadFromSerializedProto(bytes).ok());
  SpmTokenizer::Parts parts;
  parts.bytes = bytes;
  auto model = parse_spm_model(bytes);
  ASSERT_TRUE(model) << model.error().to_string();
  parts.model = std::move(*model);
  const auto ours = SpmTokenizer::build(std::move(parts));
  ASSERT_TRUE(ours) << ours.error().to_string();
  Random random(17);
  for (int i = 0; i < n_texts; ++i) {
    const std::string text = random_text(random);
    std::vector<int> ids;
    ASSERT_TRUE(library.Encode(text, &ids).ok());
    const Tokenizer& tokenizer = **ours;
    ASSERT_EQ(tokenizer.encode(text, {false, false}), std::vector<int32_t>(ids.begin(), ids.end()))
        << "'" << text << "'";
    EncodingOptions plain;
    plain.add_special = plain.parse_special = false;
    const auto located = tokenizer.encode_with_offsets({text, {}}, plain);
    ASSERT_EQ(located->ids, std::vector<int32_t>(ids.begin(), ids.end()));
    for (const TextSpan& span : located->offsets) ASSERT_LE(span.end, count_code_points(text));
  }
}

std::string learn(const std::string& options) {
  std::vector<std::string> lines;
  Random random(5);
  for (int i = 0; i < 4000; ++i) {
    std::string line = random_text(random);
    std::erase(line, '\n');
    if (!line.empty()) lines.push_back(line);
  }
  struct Lines : sentencepiece::SentenceIterator {
    explicit Lines(const std::vector<std::string>& l) : lines(l) {}
    bool done() const override { return at == lines.size(); }
    void Next() override { ++at; }
    const std::string& value() const override { return lines[at]; }
    sentencepiece::util::Status status() const override { return {}; }
    const std::vector<std::string>& lines;
    size_t at = 0;
  } iterator(lines);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      options + " --minloglevel=2 --hard_vocab_limit=false --num_threads=1", &iterator, &model);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return model;
}

TEST(SentencePiece, ModelsOfLlamaGiveTheIdsOfTheLibrary) {
  for (const char* name : {"models/stories15M/tokenizer.model", "models/stories260K/tokenizer.model"}) {
    VOLANT_DATA_OR_SKIP(file, name);
    expect_same(*read_file(file), 3000);
  }
}

TEST(SentencePiece, LearnedModelsOfEveryKindGiveTheIdsOfTheLibrary) {
  for (
      const char* options :
      {"--model_type=unigram --vocab_size=300 --byte_fallback=true",
       "--model_type=unigram --vocab_size=200 --normalization_rule_name=identity --character_coverage=0.98",
       "--model_type=unigram --vocab_size=200 --user_defined_symbols=<user>,ab --remove_extra_whitespaces=false",
       "--model_type=bpe --vocab_size=400 --byte_fallback=true --split_by_whitespace=false",
       "--model_type=bpe --vocab_size=150 --user_defined_symbols=<user>,ab --character_coverage=0.98",
       "--model_type=bpe --vocab_size=150 --add_dummy_prefix=false --allow_whitespace_only_pieces=true",
       "--model_type=bpe --vocab_size=150 --treat_whitespace_as_suffix=true",
       "--model_type=unigram --vocab_size=150 --treat_whitespace_as_suffix=true",
       "--model_type=char --vocab_size=60"}) {
    SCOPED_TRACE(options);
    const std::string model = learn(options);
    expect_same(model, 2000);
  }
}

}  // namespace
}  // namespace volant
