// Hostile and broken files, parts of the tokenizers by themselves.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/random.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/byte_level.h"
#include "text/pre_tokenizer.h"
#include "text/regex.h"
#include "text/spm_model.h"
#include "text/unicode.h"
#include "text/word_scanner.h"

namespace volant {
namespace {

// A text of characters that pre-tokenisers treat differently.
std::string mixed_text(Random& random, int n) {
  static const char32_t kAlphabet[] = {'a',    'B',    'Q',  '/',  0x301, U'ǅ',  U'ʰ',  's',   't',
                                       'l',    'v',    'e',  '\'', ' ',   ' ',   '\n',  '\r',  '\t',
                                       '1',    '2',    '!',  '.',  U'é',  U'你', U'３', U'，', 0x3000,
                                       0x200B, 0x180E, 0x85, 0xA0, U'ſ',  U'😀',  U'²'};
  std::u32string text;
  for (int i = 0; i < n; ++i) text.push_back(kAlphabet[random.below(std::size(kAlphabet))]);
  return from_code_points(text);
}

TEST(WordScanner, CutsAsItsRegularExpressionDoes) {
  Random random(7);
  for (const auto pattern :
       {WordPattern::kGpt2, WordPattern::kQwen2, WordPattern::kLlama3, WordPattern::kO200k}) {
    const auto regex = Regex::compile(word_regex(pattern));
    ASSERT_TRUE(regex) << regex.error().to_string();
    EXPECT_EQ(find_word_pattern(word_regex(pattern)), pattern);
    for (int i = 0; i < 3000; ++i) {
      const std::string text = mixed_text(random, 1 + static_cast<int>(random.below(14)));
      for (size_t pos = 0; pos < text.size();) {
        const auto [begin, end] = regex->find(text, pos);
        ASSERT_EQ(begin, pos) << text;
        ASSERT_EQ(scan_word(pattern, text, pos), end) << "'" << text << "' at " << pos;
        pos = end;
      }
    }
  }
}

TEST(BpeModel, ShortAndLongWordsMergeAlike) {
  // Tokens: all bytes, then merges of a, b, c in a fixed order.
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.push_back(byte_character(static_cast<unsigned char>(b)));
  std::vector<MergePair> merges;
  const auto merge = [&](int32_t a, int32_t b) {
    tokens.push_back(tokens[static_cast<size_t>(a)] + tokens[static_cast<size_t>(b)]);
    merges.push_back({a, b});
    return static_cast<int32_t>(tokens.size() - 1);
  };
  const int32_t ab = merge('a', 'b'), ca = merge('c', 'a'), abc = merge(ab, 'c');
  merge(abc, ab);
  merge(ca, ca);
  merge('b', 'b');
  BpeModel::Parts parts;
  parts.tokens = tokens;
  parts.merges = merges;
  const auto model = BpeModel::build(std::move(parts));
  ASSERT_TRUE(model);
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    std::string word;
    for (int n = 0; n < 40; ++n) word.push_back(static_cast<char>('a' + random.below(3)));
    // Merging never crosses "x", so the long word is the short ones side by side.
    std::vector<int32_t> apart, together;
    for (int k = 0; k < 4; ++k) {
      if (k > 0) apart.push_back('x');
      model->encode(word, apart);
    }
    model->encode(word + "x" + word + "x" + word + "x" + word, together);
    ASSERT_EQ(together, apart) << word;
  }
}

TEST(AddedTokens, LongestFirstWithBlanksAndWordsAsAsked) {
  std::vector<AddedToken> tokens{{1, "<a>", true, false, false, false, false},
                                 {2, "<a><b>", true, false, false, false, false},
                                 {3, "<mask>", true, true, false, false, false},
                                 {4, "<r>", true, false, true, false, false},
                                 {5, "cat", false, false, false, true, false}};
  const AddedTokens added(tokens, [](std::string_view text) { return std::string(text); });
  const auto shown = [&](std::string_view text) {
    std::string out;
    for (const auto& part : added.split(text, AddedTokens::Pass::kRaw))
      out += part.id >= 0 ? "[" + std::to_string(part.id) + "]" : "(" + std::string(part.text) + ")";
    return out;
  };
  EXPECT_EQ(shown("x<a><b>y<a>"), "(x)[2](y)[1]");
  EXPECT_EQ(shown("a  <mask> b"), "(a)[3]( b)");
  EXPECT_EQ(shown("a <r>  b"), "(a )[4](b)");
  EXPECT_EQ(shown("cats cat concat cat"), "(cats )[5]( concat )[5]");
  EXPECT_EQ(shown(""), "");
}

TEST(StreamDecoder, NeverCutsACharacter) {
  VOLANT_DATA_OR_SKIP(folder, "models/stories260K");
  const auto tokenizer = load_tokenizer(folder);
  ASSERT_TRUE(tokenizer);
  const std::string text = "Hi 你好 😀!";
  StreamDecoder decoder(**tokenizer);
  std::string all;
  for (const int32_t id : (*tokenizer)->encode(text)) {
    const std::string part = decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(part));
    all += part;
  }
  EXPECT_EQ(all + decoder.finish(), text);
  StreamDecoder cut(**tokenizer);
  EXPECT_EQ(cut.push(*(*tokenizer)->token_id("<0xE4>")), "");
  EXPECT_EQ(cut.push(*(*tokenizer)->token_id("<0xBD>")), "");
  EXPECT_EQ(cut.finish(), "\xEF\xBF\xBD");
}

TEST(StreamDecoder, KeepsTheBlankThatGoesOnAfterAPrompt) {
  VOLANT_DATA_OR_SKIP(folder, "models/stories15M");
  const auto tokenizer = load_tokenizer(folder);
  ASSERT_TRUE(tokenizer);
  const int32_t id = *(*tokenizer)->token_id("\xE2\x96\x81time");
  EXPECT_EQ(StreamDecoder(**tokenizer).push(id), "time");
  EXPECT_EQ(StreamDecoder(**tokenizer, false).push(id), " time");
}

Error error_of(const Path& folder) {
  const auto got = load_tokenizer(folder);
  return got ? Error{ErrorCode::kInternal, "no error", ""} : got.error();
}

TEST(LoadTokenizer, SaysWhatIsMissingOrNotSupported) {
  const testing::ScratchDir scratch;
  EXPECT_EQ(error_of(scratch / "absent").code, ErrorCode::kNotFound);
  EXPECT_EQ(error_of(scratch.path()).code, ErrorCode::kNotFound);
  ASSERT_TRUE(
      write_file_atomic(scratch / "tokenizer.json", "{\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}"));
  EXPECT_EQ(error_of(scratch.path()).code, ErrorCode::kUnsupported);
  EXPECT_NE(error_of(scratch.path()).message.find("WordLevel"), std::string::npos);
  ASSERT_TRUE(write_file_atomic(scratch / "tokenizer.json", "{\"model\": "));
  EXPECT_EQ(error_of(scratch.path()).code, ErrorCode::kParse);
  EXPECT_NE(error_of(scratch.path()).where.find("tokenizer.json"), std::string::npos);
}

TEST(LoadTokenizer, RefusesOptionsThatAreNotDoneByName) {
  VOLANT_DATA_OR_SKIP(file, "models/tiny-gpt2/tokenizer.json");
  const std::string good = dump_json(*parse_json(*read_file(file)));  // without blanks
  const testing::ScratchDir scratch;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    const size_t at = bad.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    bad.replace(at, from.size(), to);
    EXPECT_TRUE(write_file_atomic(scratch / "tokenizer.json", bad));
    return error_of(scratch.path());
  };
  EXPECT_NE(with("\"normalizer\":null", "\"normalizer\":{\"type\":\"ByteLevel\"}")
                .message.find("normalizer 'ByteLevel'"),
            std::string::npos);
  EXPECT_NE(with("\"dropout\":null", "\"dropout\":0.1").message.find("dropout"), std::string::npos);
  EXPECT_NE(with("\"end_of_word_suffix\":\"\"", "\"end_of_word_suffix\":\"</w>\"")
                .message.find("end_of_word_suffix"),
            std::string::npos);
  EXPECT_NE(
      with("\"pre_tokenizer\":{\"type\":\"ByteLevel\"", "\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"")
          .message.find("UnicodeScripts"),
      std::string::npos);
  EXPECT_NE(with("\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"WordPiece\"")
                .message.find("WordPiece"),
            std::string::npos);
}

TEST(LoadTokenizer, BrokenModelFilesAreErrorsAndNeverACrash) {
  VOLANT_DATA_OR_SKIP(file, "models/stories260K/tokenizer.model");
  const std::string good = *read_file(file);
  const testing::ScratchDir scratch;
  Random random(11);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bad = good;
    if (i < 100) {
      bad.resize(random.below(good.size()));
    } else {
      for (int k = 0; k < 1 + i % 8; ++k)
        bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    }
    std::ofstream(scratch / "tokenizer.model", std::ios::binary) << bad;
    const auto got = load_tokenizer(scratch.path());
    if (!got) {
      ++refused;
      continue;
    }
    const auto ids = (*got)->encode("Once upon a time, 你好 <s> 😀\n");
    (*got)->decode(ids);
  }
  EXPECT_GE(refused, 100);
}

TEST(LoadTokenizer, BrokenJsonVocabulariesAreErrorsAndNeverACrash) {
  VOLANT_DATA_OR_SKIP(file, "models/tiny-qwen2/tokenizer.json");
  const std::string good = *read_file(file);
  const testing::ScratchDir scratch;
  Random random(5);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    for (int k = 0; k < 1 + i % 6; ++k)
      bad[random.below(bad.size())] = "0123456789{}[]\",:abz\\-"[random.below(22)];
    std::ofstream(scratch / "tokenizer.json", std::ios::binary) << bad;
    const auto got = load_tokenizer(scratch.path());
    if (!got) {
      ++refused;
      continue;
    }
    const auto ids = (*got)->encode("Once upon a time, 你好 <|im_end|> 😀\n");
    for (const int32_t id : ids) EXPECT_TRUE(id >= 0 && id < (*got)->n_vocab()) << id;
    (*got)->decode(ids, false);
    (*got)->gguf_fields();
  }
  EXPECT_GE(refused, 100);
}

TEST(LoadTokenizer, HostileGgufVocabulariesAreErrors) {
  const testing::ScratchDir scratch;
  using Type = GgufField::Type;
  const auto code_of = [&](std::vector<GgufField> fields) {
    EXPECT_TRUE(write_gguf(scratch / "v.gguf", fields, {}));
    const auto file = GgufFile::open(scratch / "v.gguf");
    EXPECT_TRUE(file);
    const auto got = load_tokenizer(*file);
    return got ? ErrorCode::kInternal : got.error().code;
  };
  const GgufField llama{"tokenizer.ggml.model", Type::kString, std::string("llama"), false};
  const GgufField gpt2{"tokenizer.ggml.model", Type::kString, std::string("gpt2"), false};
  const std::vector<std::string> names{"<unk>", "a", "a"};
  const GgufField tokens{"tokenizer.ggml.tokens", Type::kString, names, true};
  const GgufField scores{"tokenizer.ggml.scores", Type::kF32, std::vector<double>{0, 0, 0}, true};
  const GgufField types{"tokenizer.ggml.token_type", Type::kI32, std::vector<int64_t>{2, 1, 1}, true};
  EXPECT_EQ(code_of({}), ErrorCode::kParse);
  EXPECT_EQ(code_of({llama}), ErrorCode::kParse);
  EXPECT_EQ(code_of({llama, tokens}), ErrorCode::kParse);
  EXPECT_EQ(code_of({llama, tokens, scores, types}), ErrorCode::kParse);  // "a" twice
  EXPECT_EQ(code_of({gpt2, tokens}), ErrorCode::kParse);                  // no merges
  EXPECT_EQ(
      code_of(
          {gpt2, tokens, {"tokenizer.ggml.merges", Type::kString, std::vector<std::string>{"a zz"}, true}}),
      ErrorCode::kParse);
  EXPECT_EQ(code_of({gpt2, tokens, {"tokenizer.ggml.pre", Type::kString, std::string("dbrx-odd"), false}}),
            ErrorCode::kUnsupported);
  EXPECT_EQ(code_of({{"tokenizer.ggml.model", Type::kString, std::string("rwkv"), false}}),
            ErrorCode::kUnsupported);
}

TEST(SpmModel, CharacterMapsThatPointOutsideAreRefused) {
  SpmModel model;
  model.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"a", 0, PieceType::kNormal}};
  ASSERT_TRUE(check_spm_model(model));
  std::string trie(1024, '\0');
  const auto map = [](const std::string& units) {
    const auto size = static_cast<uint32_t>(units.size());
    return std::string(reinterpret_cast<const char*>(&size), 4) + units + std::string("x\0", 2);
  };
  model.precompiled_charsmap = map(trie);
  EXPECT_TRUE(check_spm_model(model));
  trie[3] = '\x7F';  // children far outside
  model.precompiled_charsmap = map(trie);
  EXPECT_FALSE(check_spm_model(model));
  trie[3] = '\x80';
  trie[2] = '\x10';  // a value far outside
  model.precompiled_charsmap = map(trie);
  EXPECT_FALSE(check_spm_model(model));
  model.precompiled_charsmap = "short";
  EXPECT_FALSE(check_spm_model(model));
}

TEST(Encode, LongAndBrokenTextsAreFine) {
  for (const char* name : {"models/tiny-qwen2", "models/stories260K"}) {
    VOLANT_DATA_OR_SKIP(folder, name);
    const auto tokenizer = load_tokenizer(folder);
    ASSERT_TRUE(tokenizer);
    const std::string letters(200'000, 'e'), blanks(200'000, ' ');
    EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode(letters)), letters);
    EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode(blanks)), blanks);
    EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode("a\xFF\xC3z")), "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    EXPECT_EQ((*tokenizer)->decode(std::vector<int32_t>{-1, 1 << 30}), "");
    EXPECT_EQ((*tokenizer)->token_bytes(-5), "");
  }
}

TEST(PreTokenizer, OtherPatternsGoThroughTheirRegularExpression) {
  const auto made = PreTokenizer::parse(
      *parse_json(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},)"
                  R"({"type":"Split","pattern":{"Regex":"[a-z]+|\\s"},"behavior":"Isolated","invert":false},)"
                  R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})"));
  ASSERT_TRUE(made) << made.error().to_string();
  std::vector<Word> words;
  std::deque<AlignedText> storage;
  const AlignedText text = AlignedText::of("ab12 XYc", false);
  made->split(text, true, words, storage);
  std::vector<std::string_view> texts;
  for (const Word& word : words) texts.push_back(word.text);
  EXPECT_EQ(texts, (std::vector<std::string_view>{"ab", "1", "2", " ", "XY", "c"}));
  EXPECT_FALSE(made->name());
  EXPECT_FALSE(
      PreTokenizer::parse(*parse_json(R"({"type":"Split","pattern":{"Regex":"(("},"behavior":"Isolated"})")));
}

}  // namespace
}  // namespace volant
