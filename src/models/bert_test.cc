// BERT on the native backend against the golden outputs (float64 reference): hidden states, pooler, class
// logits of a padded batch with token types; MiniLM; the head for masked words against plain loops.
#include "models/bert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "io/safetensors.h"
#include "models/instances/native.h"
#include "support/npy.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::TokenRows;
using Read = TokenRows::Read;

std::vector<int32_t> ints(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
  return ids;
}

// The sequences of the golden batch without their padding.
TokenRows golden_rows(const Json& golden, Read read) {
  TokenRows rows;
  for (size_t i = 0; i < golden.at("ids").as_array().size(); ++i) {
    std::vector<int32_t> ids = ints(golden.at("ids").at(i)), types = ints(golden.at("token_type_ids").at(i));
    size_t n = 0;
    for (const int32_t seen : ints(golden.at("attention_mask").at(i))) n += static_cast<size_t>(seen);
    ids.resize(n);
    types.resize(n);
    rows.add(ids, read, types);
  }
  return rows;
}

using Numbers = std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>>;

Numbers numbers_of(const Path& folder) {
  Numbers all;
  const Checkpoint checkpoint = Checkpoint::open(folder).value();
  for (const std::string& name : checkpoint.tensor_names()) {
    const TensorView view = checkpoint.tensor(name).value();
    all[name] = {view.shape, to_f32(view)};
  }
  return all;
}

void write_folder(const Path& folder, JsonObject config, const std::string& architecture,
                  const Numbers& numbers) {
  config["architectures"] = JsonArray{Json(architecture)};
  std::map<std::string, SafetensorsEntry> entries;
  for (const auto& [name, tensor] : numbers)
    entries[name] = {"F32", tensor.first, std::as_bytes(std::span(tensor.second))};
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", entries));
  ASSERT_TRUE(write_file_atomic(folder / "config.json", dump_json(config)));
}

JsonObject config_of(const Path& folder) {
  return parse_json(read_file(folder / "config.json").value()).value().as_object();
}

std::vector<float> output_of(const Path& folder, const TokenRows& rows) {
  const auto model = NativeModel::load(Checkpoint::open(folder).value(), {.n_threads = 2}).value();
  const auto output = model->output(rows.view());
  return {output.begin(), output.end()};
}

void expect_near(std::span<const float> got, std::span<const float> expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], tolerance) << "number " << i;
}

Numbers renamed(const Numbers& numbers, const std::string& from, const std::string& to) {
  Numbers out;
  for (const auto& [name, tensor] : numbers)
    if (name.starts_with(from)) out[to + name.substr(from.size())] = tensor;
  return out;
}

// A classifier that gives the pooler's numbers back.
void add_identity_classifier(Numbers& numbers, int64_t n) {
  std::vector<float> identity(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) identity[static_cast<size_t>(i * n + i)] = 1;
  numbers["classifier.weight"] = {{n, n}, identity};
  numbers["classifier.bias"] = {{n}, std::vector<float>(static_cast<size_t>(n))};
}

TEST(Bert, GivesTheGoldenClassesOfAPaddedBatch) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const Json golden = parse_json(read_file(*folder_root / "golden/tiny-bert/golden.json").value()).value();
  const Checkpoint checkpoint = Checkpoint::open(folder).value();
  EXPECT_EQ(checkpoint.config().labels, (std::vector<std::string>{"negative", "neutral", "positive"}));
  EXPECT_EQ(checkpoint.config().rows_read(), RowsRead::kFirst);
  const std::vector<float> got = output_of(folder, golden_rows(golden, Read::kFirst));
  std::vector<float> expected;
  for (const Json& row : golden.at("logits").as_array())
    for (const Json& x : row.as_array()) expected.push_back(x.to_number<float>());
  expect_near(got, expected, 1e-4);
}

TEST(Bert, GivesTheGoldenHiddenStates) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const Path golden_folder = *folder_root / "golden/tiny-bert";
  const Json golden = parse_json(read_file(golden_folder / "golden.json").value()).value();
  const testing::ScratchDir scratch;
  write_folder(scratch.path(), config_of(folder), "BertModel", renamed(numbers_of(folder), "bert.", ""));
  const TokenRows rows = golden_rows(golden, Read::kAll);
  const std::vector<float> got = output_of(scratch.path(), rows),
                           all = testing::read_npy(golden_folder / "last_hidden_state.npy");
  std::vector<float> expected;  // without the padding
  const size_t padded = golden.at("ids").at(0).as_array().size(), D = 64;
  for (size_t s = 0; s + 1 < rows.seq_begin.size(); ++s) {
    const auto n = static_cast<size_t>(rows.seq_begin[s + 1] - rows.seq_begin[s]);
    expected.insert(expected.end(), all.begin() + static_cast<std::ptrdiff_t>(s * padded * D),
                    all.begin() + static_cast<std::ptrdiff_t>((s * padded + n) * D));
  }
  expect_near(got, expected, 1e-4);
}

TEST(Bert, GivesTheGoldenPoolerOutput) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const Path golden_folder = *folder_root / "golden/tiny-bert";
  const Json golden = parse_json(read_file(golden_folder / "golden.json").value()).value();
  const testing::ScratchDir scratch;
  Numbers numbers = numbers_of(folder);
  add_identity_classifier(numbers, 64);
  JsonObject config = config_of(folder);
  config.erase("id2label");
  config["num_labels"] = 64;
  write_folder(scratch.path(), config, "BertForSequenceClassification", numbers);
  expect_near(output_of(scratch.path(), golden_rows(golden, Read::kFirst)),
              testing::read_npy(golden_folder / "pooler_output.npy"), 1e-4);
}

TEST(Bert, TokenTypesThatAreNotGivenAreZeros) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  TokenRows without, with_zeros;
  without.add({2, 505, 470, 3}, Read::kFirst);
  with_zeros.add({2, 505, 470, 3}, Read::kFirst, {0, 0, 0, 0});
  EXPECT_EQ(output_of(folder, without), output_of(folder, with_zeros));
}

TEST(MiniLm, GivesTheGoldenHiddenStatesAndPoolerOutput) {
  VOLANT_DATA_OR_SKIP(folder, "models/all-MiniLM-L6-v2");
  const Path golden_folder = *folder_root / "golden/all-MiniLM-L6-v2";
  const Json golden = parse_json(read_file(golden_folder / "embeddings.json").value()).value();
  const std::vector<int32_t> ids = ints(golden.at("cases").at(0).at("ids"));
  TokenRows rows, first;
  rows.add(ids, Read::kAll);
  first.add(ids, Read::kFirst);
  expect_near(output_of(folder, rows), testing::read_npy(golden_folder / "last_hidden_state_0.npy"), 1e-3);

  const testing::ScratchDir scratch;
  Numbers numbers = renamed(numbers_of(folder), "", "bert.");
  add_identity_classifier(numbers, 384);
  JsonObject config = config_of(folder);
  config["num_labels"] = 384;
  write_folder(scratch.path(), config, "BertForSequenceClassification", numbers);
  expect_near(output_of(scratch.path(), first), testing::read_npy(golden_folder / "pooler_output_0.npy"),
              1e-4);
}

TEST(Bert, MaskedWordsEqualTheHeadInPlainLoops) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const testing::ScratchDir hidden_folder, scratch;
  Numbers numbers = numbers_of(folder);
  write_folder(hidden_folder.path(), config_of(folder), "BertModel", renamed(numbers, "bert.", ""));
  std::erase_if(numbers, [](const auto& each) { return each.first.starts_with("classifier."); });
  constexpr size_t D = 64, V = 512;
  const auto wave = [](size_t n, double factor) {
    std::vector<float> x(n);
    for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(std::sin(static_cast<double>(i) * factor));
    return x;
  };
  const std::vector<float> W = wave(D * D, 0.37), b = wave(D, 1.7), g = wave(D, 0.9), shift = wave(D, 2.1),
                           out_bias = wave(V, 0.11);
  numbers["cls.predictions.transform.dense.weight"] = {{D, D}, W};
  numbers["cls.predictions.transform.dense.bias"] = {{D}, b};
  numbers["cls.predictions.transform.LayerNorm.weight"] = {{D}, g};
  numbers["cls.predictions.transform.LayerNorm.bias"] = {{D}, shift};
  numbers["cls.predictions.bias"] = {{V}, out_bias};
  numbers["cls.seq_relationship.weight"] = {{2, D}, wave(2 * D, 1)};  // stands in published files
  write_folder(scratch.path(), config_of(folder), "BertForMaskedLM", numbers);
  TokenRows rows;
  rows.add({2, 505, 470, 217, 3}, Read::kAll);
  const std::vector<float> got = output_of(scratch.path(), rows), x = output_of(hidden_folder.path(), rows);
  const std::vector<float>& E = numbers["bert.embeddings.word_embeddings.weight"].second;
  for (size_t t = 0; t < 5; ++t) {
    std::vector<double> h(D);
    double mean = 0, variance = 0;
    for (size_t o = 0; o < D; ++o) {
      double sum = static_cast<double>(b[o]);
      for (size_t i = 0; i < D; ++i)
        sum += static_cast<double>(W[o * D + i]) * static_cast<double>(x[t * D + i]);
      h[o] = 0.5 * sum * (1 + std::erf(sum / std::sqrt(2.0)));
      mean += h[o] / D;
    }
    for (const double v : h) variance += (v - mean) * (v - mean) / D;
    for (size_t o = 0; o < D; ++o)
      h[o] = (h[o] - mean) / std::sqrt(variance + 1e-12) * static_cast<double>(g[o]) +
             static_cast<double>(shift[o]);
    for (size_t w = 0; w < V; ++w) {
      double logit = static_cast<double>(out_bias[w]);
      for (size_t i = 0; i < D; ++i) logit += h[i] * static_cast<double>(E[w * D + i]);
      ASSERT_NEAR(got[t * V + w], logit, 2e-3) << t << " " << w;
    }
  }
}

TEST(Bert, WhatIsNotDoneIsRefusedByName) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, Json>>{{"position_embedding_type", "relative_key"},
                                                 {"is_decoder", true},
                                                 {"hidden_act", "relu"},
                                                 {"tie_word_embeddings", false}}) {
    JsonObject config = config_of(folder);
    config[key] = value;
    const Result<ModelConfig> read = ModelConfig::from_json(Json(config));
    ASSERT_FALSE(read) << key;
    EXPECT_EQ(read.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(read.error().message, HasSubstr(key));
  }
}

TEST(Bert, WithoutACountOfPositionsThereAre512) {
  JsonObject json{{"architectures", JsonArray{"BertModel"}},
                  {"vocab_size", 50},
                  {"hidden_size", 16},
                  {"num_hidden_layers", 1},
                  {"num_attention_heads", 2},
                  {"intermediate_size", 32}};
  EXPECT_EQ(ModelConfig::from_json(json).value().max_position_embeddings, 512);
}

TEST(Bert, ConfigurationComesBackFromItsOwnJson) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const ModelConfig config = ModelConfig::from_json(Json(config_of(folder))).value();
  const ModelConfig again = ModelConfig::from_json(config.to_json()).value();
  EXPECT_EQ(dump_json(again.to_json()), dump_json(config.to_json()));
  EXPECT_EQ(again.labels, config.labels);
  EXPECT_EQ(std::get<BertFields>(again.own).layer_norm_eps, 1e-12);
}

}  // namespace
}  // namespace volant
