// Every expected id of the golden files:
// the tokenizer as loaded, as saved and loaded again, and through GGUF.
#include <gtest/gtest.h>

#include <cstring>

#include "io/file.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace volant {
namespace {

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
  return ids;
}

std::string stream_decode(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(part));
    text += part;
  }
  return text + decoder.finish();
}

void expect_cases(const Tokenizer& tokenizer, const Path& cases) {
  const auto text = read_file(cases);
  ASSERT_TRUE(text) << text.error().to_string();
  const auto json = parse_json(*text);
  ASSERT_TRUE(json) << json.error().to_string();
  size_t n = 0;
  for (const Json& row : json->at("cases").as_array()) {
    const std::string input(row.at("text").as_string());
    SCOPED_TRACE(input);
    const auto ids = ids_of(row.at("ids"));
    EXPECT_EQ(tokenizer.encode(input), ids);
    const Json* bare = json_find(row, "ids_no_special");
    const auto bare_ids = bare == nullptr ? ids : ids_of(*bare);
    EXPECT_EQ(tokenizer.encode(input, {false, true}), bare_ids);
    const Json* plain = json_find(row, "ids_specials_as_text");
    EXPECT_EQ(tokenizer.encode(input, {false, false}), plain == nullptr ? bare_ids : ids_of(*plain));
    if (const Json* tokens = json_find(row, "tokens")) {
      ASSERT_EQ(tokens->as_array().size(), ids.size());
      for (size_t i = 0; i < ids.size(); ++i)
        EXPECT_EQ(tokenizer.token_text(ids[i]), tokens->as_array()[i].as_string());
    }
    if (const Json* decoded = json_find(row, "decoded")) {
      EXPECT_EQ(tokenizer.decode(ids), decoded->as_string());
      const Json* with = json_find(row, "decoded_with_special");
      EXPECT_EQ(tokenizer.decode(ids, false), with == nullptr ? decoded->as_string() : with->as_string());
      EXPECT_EQ(stream_decode(tokenizer, ids), decoded->as_string());
    } else {  // tiktoken: the bytes of the text
      EXPECT_EQ(tokenizer.decode(ids, false), input);
    }
    ++n;
  }
  EXPECT_EQ(n, 106U);  // all texts that there are
}

std::vector<TextSpan> spans_of(const Json& list) {
  std::vector<TextSpan> spans;
  for (const Json& row : list.as_array())
    spans.push_back(
        {static_cast<uint32_t>(row.at(0).as_int64()), static_cast<uint32_t>(row.at(1).as_int64())});
  return spans;
}

// Ids of the door with offsets, offsets where the file has them, and pairs.
void expect_encodings(const Tokenizer& tokenizer, const Path& cases) {
  const auto json = parse_json(*read_file(cases));
  ASSERT_TRUE(json) << json.error().to_string();
  for (const Json& row : json->at("cases").as_array()) {
    const std::string input(row.at("text").as_string());
    SCOPED_TRACE(input);
    const auto got = tokenizer.encode_with_offsets({input, {}});
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_EQ(got->ids, ids_of(row.at("ids")));
    if (const Json* offsets = json_find(row, "offsets")) {
      EXPECT_EQ(got->offsets, spans_of(*offsets));
    }
    EXPECT_EQ(got->offsets.size(), got->ids.size());
    EXPECT_EQ(got->attention, std::vector<uint8_t>(got->ids.size(), 1));
    EncodingOptions plain;
    plain.add_special = plain.parse_special = false;
    EXPECT_EQ(tokenizer.encode_with_offsets({input, {}}, plain)->ids,
              tokenizer.encode(input, {false, false}));
  }
  const Json* pairs = json_find(*json, "pairs");
  if (pairs == nullptr) return;
  for (const Json& row : pairs->as_array()) {
    const std::string first(row.at("text").as_string()), second(row.at("text_pair").as_string());
    SCOPED_TRACE(first + " + " + second);
    const auto got = tokenizer.encode_with_offsets({first, second});
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_EQ(got->ids, ids_of(row.at("ids")));
    EXPECT_EQ(got->type_ids, ids_of(row.at("type_ids")));
  }
}

struct Golden {
  const char* folder;
  const char* cases;
  bool gguf_needs_json = false;  // the keys of GGUF alone cannot say all of it
};

class TokenizerGolden : public ::testing::TestWithParam<Golden> {};

TEST_P(TokenizerGolden, LoadedFromAFolder) {
  VOLANT_DATA_OR_SKIP(folder, GetParam().folder);
  VOLANT_DATA_OR_SKIP(cases, GetParam().cases);
  const auto tokenizer = load_tokenizer(folder);
  ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
  expect_cases(**tokenizer, cases);
  expect_encodings(**tokenizer, cases);
}

TEST_P(TokenizerGolden, SavedAndLoadedAgain) {
  VOLANT_DATA_OR_SKIP(folder, GetParam().folder);
  VOLANT_DATA_OR_SKIP(cases, GetParam().cases);
  const auto tokenizer = load_tokenizer(folder);
  ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
  const testing::ScratchDir scratch;
  const Status saved = (*tokenizer)->save(scratch.path());
  ASSERT_TRUE(saved) << saved.error().to_string();
  const auto again = load_tokenizer(scratch.path());
  ASSERT_TRUE(again) << again.error().to_string();
  expect_cases(**again, cases);
  EXPECT_EQ((*again)->bos_id(), (*tokenizer)->bos_id());
  EXPECT_EQ((*again)->eos_id(), (*tokenizer)->eos_id());
}

TEST_P(TokenizerGolden, WrittenToGgufAndReadAgain) {
  VOLANT_DATA_OR_SKIP(folder, GetParam().folder);
  VOLANT_DATA_OR_SKIP(cases, GetParam().cases);
  const auto tokenizer = load_tokenizer(folder);
  ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
  const testing::ScratchDir scratch;
  const Status written = write_gguf(scratch / "vocab.gguf", (*tokenizer)->gguf_fields(), {});
  ASSERT_TRUE(written) << written.error().to_string();
  const auto file = GgufFile::open(scratch / "vocab.gguf");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->contains("tokenizer.huggingface.json"), GetParam().gguf_needs_json);
  const auto again = load_tokenizer(*file);
  ASSERT_TRUE(again) << again.error().to_string();
  expect_cases(**again, cases);
  EXPECT_EQ((*again)->n_vocab(), (*tokenizer)->n_vocab());
  EXPECT_EQ((*again)->bos_id(), (*tokenizer)->bos_id());
  EXPECT_EQ((*again)->eos_id(), (*tokenizer)->eos_id());
  const testing::ScratchDir folder_again;
  ASSERT_TRUE((*again)->save(folder_again.path()));
  const auto third = load_tokenizer(folder_again.path());
  ASSERT_TRUE(third) << third.error().to_string();
  expect_cases(**third, cases);
}

INSTANTIATE_TEST_SUITE_P(
    All, TokenizerGolden,
    ::testing::Values(Golden{"models/stories260K", "golden/stories260K/tokenize.json"},
                      Golden{"models/stories15M", "golden/stories15M/tokenize.json"},
                      Golden{"models/minimind2-small", "golden/minimind2-small/tokenize.json"},
                      Golden{"models/tiny-gpt2", "golden/tiny-gpt2/tokenize.json"},
                      Golden{"models/tiny-qwen2", "golden/tiny-qwen2/tokenize.json"},
                      Golden{"tokenizers/gpt2", "tokenizers/gpt2/cases.json"},
                      Golden{"tokenizers/qwen2.5", "tokenizers/qwen2.5/cases.json"},
                      Golden{"tokenizers/llama-3", "tokenizers/llama-3/cases.json"},
                      Golden{"tokenizers/bert-base-uncased", "tokenizers/bert-base-uncased/cases.json"},
                      Golden{"tokenizers/bert-base-chinese", "tokenizers/bert-base-chinese/cases.json", true},
                      Golden{"models/all-MiniLM-L6-v2", "golden/all-MiniLM-L6-v2/tokenize.json"},
                      Golden{"models/tiny-bert", "golden/tiny-bert/tokenize.json"}),
    [](const auto& golden) {
      std::string name = Path(golden.param.folder).filename().string();
      for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
      return name;
    });

// A folder with the tokenizer.json only, of a model that SentencePiece made.
TEST(TokenizerJson, OfASentencePieceModelGivesTheSameIds) {
  for (const char* name : {"stories260K", "stories15M"}) {
    VOLANT_DATA_OR_SKIP(folder, Path("models") / name);
    VOLANT_DATA_OR_SKIP(cases, Path("golden") / name / "tokenize.json");
    const testing::ScratchDir scratch;
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
      ASSERT_TRUE(copy_all(folder / file, scratch / file));
    const auto tokenizer = load_tokenizer(scratch.path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    expect_cases(**tokenizer, cases);
  }
}

// A folder with the vocabulary alone.
TEST(VocabTxt, GivesTheIdsOfTheTokenizerJson) {
  for (const auto& [model, golden] :
       {std::pair{"tokenizers/bert-base-uncased", "tokenizers/bert-base-uncased/cases.json"},
        {"tokenizers/bert-base-chinese", "tokenizers/bert-base-chinese/cases.json"},
        {"models/all-MiniLM-L6-v2", "golden/all-MiniLM-L6-v2/tokenize.json"},
        {"models/tiny-bert", "golden/tiny-bert/tokenize.json"}}) {
    VOLANT_DATA_OR_SKIP(folder, model);
    VOLANT_DATA_OR_SKIP(cases, golden);
    const testing::ScratchDir scratch;
    for (const char* file : {"vocab.txt", "tokenizer_config.json"})
      ASSERT_TRUE(copy_all(folder / file, scratch / file));
    const auto tokenizer = load_tokenizer(scratch.path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    expect_cases(**tokenizer, cases);
    expect_encodings(**tokenizer, cases);
  }
}

// Folders as older ones on the hub are: no tokenizer.json. `vocab` and `merges` are taken from there.
void write_vocab_and_merges(const Path& tokenizer_json, const Path& folder) {
  const Json json = parse_json(read_file(tokenizer_json).value()).value();
  const Json& model = json.at("model");
  std::string merges = "#version: 0.2\n";
  for (const Json& row : model.at("merges").as_array()) {
    if (row.is_string())
      merges += row.as_string();
    else
      merges.append(row.at(0).as_string()).append(" ").append(row.at(1).as_string());
    merges += '\n';
  }
  ASSERT_TRUE(write_file_atomic(folder / "vocab.json", dump_json(model.at("vocab"))));
  ASSERT_TRUE(write_file_atomic(folder / "merges.txt", merges));
}

TEST(VocabAndMerges, GiveTheIdsOfTheTokenizerJson) {
  for (const auto& [model, golden] : {std::pair{"tokenizers/gpt2", "tokenizers/gpt2/cases.json"},
                                      {"models/tiny-gpt2", "golden/tiny-gpt2/tokenize.json"},
                                      {"tokenizers/qwen2.5", "tokenizers/qwen2.5/cases.json"},
                                      {"models/tiny-qwen2", "golden/tiny-qwen2/tokenize.json"}}) {
    SCOPED_TRACE(model);
    VOLANT_DATA_OR_SKIP(folder, model);
    VOLANT_DATA_OR_SKIP(cases, golden);
    const testing::ScratchDir scratch, saved;
    ASSERT_TRUE(copy_all(folder / "tokenizer_config.json", scratch / "tokenizer_config.json"));
    write_vocab_and_merges(folder / "tokenizer.json", scratch.path());
    const auto tokenizer = open_tokenizer(scratch.path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    expect_cases(**tokenizer, cases);
    ASSERT_TRUE((*tokenizer)->save(saved.path()));
    const auto again = load_tokenizer(saved.path());
    ASSERT_TRUE(again) << again.error().to_string();
    expect_cases(**again, cases);
  }
}

// GPT-2's own files: tokenizer_config.json says the length and nothing else, or is not there.
TEST(VocabAndMerges, WithoutAClassAreThoseOfGpt2) {
  VOLANT_DATA_OR_SKIP(folder, "tokenizers/gpt2");
  for (const bool with_json : {false, true}) {
    for (const char* config : {"", "{\"model_max_length\": 1024}"}) {
      const testing::ScratchDir scratch;
      for (const char* file : {"vocab.json", "merges.txt"})
        ASSERT_TRUE(copy_all(folder / file, scratch / file));
      if (with_json) {
        ASSERT_TRUE(copy_all(folder / "tokenizer.json", scratch / "tokenizer.json"));
      }
      if (*config != 0) {
        ASSERT_TRUE(write_file_atomic(scratch / "tokenizer_config.json", config));
      }
      const auto tokenizer = load_tokenizer(scratch.path());
      ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
      expect_cases(**tokenizer, folder / "cases.json");
      EXPECT_EQ((*tokenizer)->eos_id(), 50256);
      EXPECT_TRUE((*tokenizer)->is_special(50256));
      EXPECT_EQ((*tokenizer)->algorithm(), "byte-level bpe");
    }
  }
}

TEST(VocabAndMerges, WhatIsNotDoneOrBrokenIsNamed) {
  const auto error_with = [](const char* config, const char* vocab, const char* merges) {
    const testing::ScratchDir scratch;
    EXPECT_TRUE(write_file_atomic(scratch / "tokenizer_config.json", config));
    EXPECT_TRUE(write_file_atomic(scratch / "vocab.json", vocab));
    EXPECT_TRUE(write_file_atomic(scratch / "merges.txt", merges));
    const auto tokenizer = load_tokenizer(scratch.path());
    return tokenizer ? "" : tokenizer.error().to_string();
  };
  const char* vocab = R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})";
  EXPECT_EQ(error_with("{}", vocab, "a b\n"), "");
  const auto expect_says = [](const std::string& error, const char* words) {
    EXPECT_NE(error.find(words), std::string::npos) << error;
  };
  expect_says(error_with(R"({"tokenizer_class": "RobertaTokenizer"})", vocab, "a b\n"), "RobertaTokenizer");
  expect_says(error_with(R"({"add_bos_token": true})", vocab, "a b\n"), "add_bos_token");
  expect_says(error_with("{}", vocab, "a c\n"), "'c'");
  expect_says(error_with("{}", vocab, "ab\n"), "no pair");
  expect_says(error_with("{}", "[1]", "a b\n"), "vocab.json");
  expect_says(error_with("{}", R"({"a": 0, "b": 1, "ab": 2})", "a b\n"), "<|endoftext|>");
}

TEST(Tiktoken, RankFilesGiveTheIdsOfTiktoken) {
  for (const std::string name : {"cl100k_base", "o200k_base"}) {
    VOLANT_DATA_OR_SKIP(file, Path("tokenizers/tiktoken") / (name + ".tiktoken"));
    VOLANT_DATA_OR_SKIP(cases, Path("tokenizers/tiktoken") / (name + ".cases.json"));
    const auto tokenizer = open_tokenizer(file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    expect_cases(**tokenizer, cases);
    expect_encodings(**tokenizer, cases);
    const auto json = parse_json(*read_file(cases));
    for (const auto& [text, id] : json->at("special_tokens").as_object())
      EXPECT_EQ((*tokenizer)->token_id(text), id.as_int64());
    const testing::ScratchDir scratch;
    ASSERT_TRUE((*tokenizer)->save(scratch.path()));
    const auto again = load_tokenizer(scratch.path());
    ASSERT_TRUE(again) << again.error().to_string();
    expect_cases(**again, cases);
  }
}

// Some of the published texts have been through `clean_up_tokenization_spaces` of Transformers.
std::string cleaned_up(std::string text) {
  for (const auto& [from, to] : {std::pair{" .", "."},
                                 {" ?", "?"},
                                 {" !", "!"},
                                 {" ,", ","},
                                 {" ' ", "'"},
                                 {" n't", "n't"},
                                 {" 'm", "'m"},
                                 {" 's", "'s"},
                                 {" 've", "'ve"},
                                 {" 're", "'re"}})
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;)
      text.replace(at, std::strlen(from), to);
  return text;
}

TEST(TokenizerGoldenPublished, AllIdsAndTheirTexts) {
  struct Published {
    const char *model, *cases;
    size_t n;
  };
  for (const auto& [model, cases, n] :
       {Published{"models/stories15M", "tokenizers/llama-2/published.json", 64},
        {"tokenizers/qwen2.5", "tokenizers/qwen2.5/published.json", 46},
        {"tokenizers/gpt2", "tokenizers/gpt2/published.json", 64},
        {"tokenizers/bert-base-uncased", "tokenizers/bert-base-uncased/published.json", 64},
        {"tokenizers/llama-3", "tokenizers/llama-3/published.json", 64}}) {
    VOLANT_DATA_OR_SKIP(folder, model);
    VOLANT_DATA_OR_SKIP(path, cases);
    const auto tokenizer = load_tokenizer(folder);
    ASSERT_TRUE(tokenizer) << tokenizer.error().to_string();
    const auto json = parse_json(*read_file(path));
    ASSERT_TRUE(json);
    EXPECT_EQ(json->at("cases").as_array().size(), n);
    for (const Json& row : json->at("cases").as_array()) {
      const std::string input(row.at("text").as_string());
      SCOPED_TRACE(input);
      const bool special = row.at("add_special_tokens").as_bool();
      auto expected = ids_of(row.at("ids"));
      // This early release of Llama-3's tokenizer.json puts no <|begin_of_text|> in front.
      if (special && std::string_view(model) == "tokenizers/llama-3") {
        EXPECT_EQ(expected.at(0), 128000);
        expected.erase(expected.begin());
      }
      EXPECT_EQ((*tokenizer)->encode(input, {special, true}), expected);
      for (const auto& [key, skip_special] :
           {std::pair{"decoded_with_special", false}, {"decoded_without_special", true}}) {
        const Json* decoded = json_find(row, key);
        if (decoded == nullptr) continue;
        const std::string got = (*tokenizer)->decode(ids_of(row.at("ids")), skip_special);
        EXPECT_TRUE(got == decoded->as_string() || cleaned_up(got) == decoded->as_string()) << got;
      }
    }
  }
}

}  // namespace
}  // namespace volant
