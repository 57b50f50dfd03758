// Encoders, encoder-decoders, heads for labels and mixtures of experts in training: the numbers of the native
// model, the golden outputs, and gradients against differences along random directions.
#include <gtest/gtest.h>

#include <boost/json/value_to.hpp>
#include <cmath>

#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "models/instances/torch.h"
#include "support/npy.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using testing::Pairs;
using testing::ScratchDir;
using testing::TokenRows;
using Read = TokenRows::Read;

TorchModel load_torch(const Path& folder, bool bf16 = false) {
  const Checkpoint checkpoint = Checkpoint::open(folder).value();
  TorchModel model = TorchModel::create(checkpoint.config(), {.bf16 = bf16}).value();
  for (const auto& p : model.parameters()) {
    const std::vector<float> numbers = to_f32(checkpoint.tensor(p.spec.name).value());
    std::copy(numbers.begin(), numbers.end(), p.values.begin());
  }
  model.weights_changed();
  return model;
}

ModelConfig config_from(JsonObject fields) {
  JsonObject json{{"vocab_size", 60},        {"hidden_size", 32},        {"intermediate_size", 48},
                  {"num_hidden_layers", 2},  {"num_attention_heads", 4}, {"max_position_embeddings", 64},
                  {"num_key_value_heads", 2}};
  for (const auto& field : fields) json[field.key()] = field.value();
  return ModelConfig::from_json(Json(json)).value();
}

std::vector<int32_t> ids_of(size_t n, size_t seed) {
  std::vector<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>((seed + 13 * i * i + 5 * i) % 60);
  return ids;
}

// The sum of every output with a fixed random number: its gradient reaches everything.
double project(std::span<const float> output, std::span<float> gradient) {
  Random random(77);
  double sum = 0;
  for (size_t i = 0; i < output.size(); ++i) {
    const double r = random.normal();
    sum += r * static_cast<double>(output[i]);
    if (!gradient.empty()) gradient[i] = static_cast<float>(r);
  }
  return sum;
}

void expect_the_native_numbers_and_true_gradients(const ModelConfig& config, const Batch& batch) {
  SCOPED_TRACE(dump_json(config.to_json()));
  const ScratchDir scratch;
  Random weights(11);
  testing::write_random_model(scratch.path(), config, weights);
  TorchModel model = load_torch(scratch.path());
  const auto native = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 1}).value();
  const std::vector<float> got = model.output(batch).value();
  const auto expected = native->output(batch);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 5e-5F * (1 + std::abs(expected[i]))) << "output " << i;

  ASSERT_TRUE(model.output_loss_and_gradient(batch, project, 1));
  Random random(5);
  for (const auto& p : model.parameters()) {
    std::vector<float> direction(p.values.size()), old(p.values.begin(), p.values.end());
    double analytic = 0, norm = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = static_cast<float>(random.normal());
      analytic += static_cast<double>(direction[i]) * static_cast<double>(p.gradient[i]);
      norm += static_cast<double>(p.gradient[i]) * static_cast<double>(p.gradient[i]);
    }
    const auto at = [&](float step) {
      for (size_t i = 0; i < old.size(); ++i) p.values[i] = old[i] + step * direction[i];
      model.weights_changed();
      return project(model.output(batch).value(), {});
    };
    const float step = 4e-3F / std::sqrt(static_cast<float>(old.size()));
    const double difference = (at(step) - at(-step)) / (2 * static_cast<double>(step));
    at(0);
    EXPECT_NEAR(analytic, difference, 0.02 * std::sqrt(norm) + 0.05) << p.spec.name;
  }
}

TokenRows three_sequences(Read read, bool types) {
  TokenRows rows;
  for (const size_t n : {9, 1, 22}) {
    std::vector<int32_t> kinds(types ? n : 0);
    for (size_t i = n / 2; i < kinds.size(); ++i) kinds[i] = 1;
    rows.add(ids_of(n, n), read, kinds);
  }
  return rows;
}

TEST(TorchBert, GivesTheGoldenClassesOfAPaddedBatch) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const Json golden = parse_json(read_file(*folder_root / "golden/tiny-bert/golden.json").value()).value();
  TokenRows rows;
  std::vector<float> expected;
  for (size_t i = 0; i < 3; ++i) {
    const auto list = [&](const char* name) {
      return boost::json::value_to<std::vector<int32_t>>(golden.at(name).at(i));
    };
    std::vector<int32_t> ids = list("ids"), types = list("token_type_ids");
    const std::vector<int32_t> mask = list("attention_mask");
    ids.resize(static_cast<size_t>(std::count(mask.begin(), mask.end(), 1)));
    types.resize(ids.size());
    rows.add(ids, Read::kFirst, types);
    for (const Json& x : golden.at("logits").at(i).as_array()) expected.push_back(x.to_number<float>());
  }
  const std::vector<float> got = load_torch(folder).output(rows.view()).value();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-4);
}

TEST(TorchBert, GivesTheGoldenHiddenStatesOfATextWithTypes) {
  VOLANT_DATA_OR_SKIP(folder, "models/tiny-bert");
  const Path golden_folder = *folder_root / "golden/tiny-bert";
  const Json golden = parse_json(read_file(golden_folder / "golden.json").value()).value();
  const Checkpoint classifier = Checkpoint::open(folder).value();
  JsonObject config = classifier.config().to_json().as_object();
  config["architectures"] = JsonArray{"BertModel"};
  TorchModel model = TorchModel::create(ModelConfig::from_json(config).value(), {}).value();
  for (const auto& p : model.parameters()) {
    const std::vector<float> numbers = to_f32(classifier.tensor("bert." + p.spec.name).value());
    std::copy(numbers.begin(), numbers.end(), p.values.begin());
  }
  model.weights_changed();
  TokenRows rows;
  rows.add(boost::json::value_to<std::vector<int32_t>>(golden.at("ids").at(0)), Read::kAll,
           boost::json::value_to<std::vector<int32_t>>(golden.at("token_type_ids").at(0)));
  ASSERT_EQ(boost::json::value_to<std::vector<int32_t>>(golden.at("attention_mask").at(0)),
            std::vector<int32_t>(rows.tokens.size(), 1));
  const std::vector<float> got = model.output(rows.view()).value(),
                           expected = testing::read_npy(golden_folder / "last_hidden_state.npy");
  ASSERT_LE(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-4) << i;
}

TEST(TorchBert, GivesTheGoldenHiddenStatesAndVectorsOfMiniLm) {
  VOLANT_DATA_OR_SKIP(folder, "models/all-MiniLM-L6-v2");
  const Path golden_folder = *folder_root / "golden/all-MiniLM-L6-v2";
  const Json golden = parse_json(read_file(golden_folder / "embeddings.json").value()).value();
  const std::vector<float> first = testing::read_npy(golden_folder / "last_hidden_state_0.npy");
  const TorchModel model = load_torch(folder);
  constexpr size_t D = 384;
  size_t text = 0;
  for (const Json& test : golden.at("cases").as_array()) {
    TokenRows rows;
    rows.add(boost::json::value_to<std::vector<int32_t>>(test.at("ids")), Read::kAll);
    const std::vector<float> states = model.output(rows.view()).value();
    if (text == 0) {
      ASSERT_EQ(states.size(), first.size());
      for (size_t i = 0; i < states.size(); ++i) ASSERT_NEAR(states[i], first[i], 1e-3) << i;
    }
    std::vector<double> mean(D);  // of length 1
    for (size_t i = 0; i < states.size(); ++i) mean[i % D] += static_cast<double>(states[i]);
    double length = 0;
    for (const double x : mean) length += x * x;
    for (size_t d = 0; d < D; ++d)
      ASSERT_NEAR(mean[d] / std::sqrt(length), test.at("embedding").at(d).to_number<double>(), 1e-5)
          << "text " << text << " number " << d;
    ++text;
  }
}

TEST(TorchBert, EveryHeadGivesTheNativeNumbersAndTrueGradients) {
  const auto bert = [](const char* architecture) {
    return config_from(
        {{"architectures", JsonArray{Json(architecture)}}, {"num_key_value_heads", 4}, {"num_labels", 3}});
  };
  expect_the_native_numbers_and_true_gradients(bert("BertForSequenceClassification"),
                                               three_sequences(Read::kFirst, true).view());
  expect_the_native_numbers_and_true_gradients(bert("BertForTokenClassification"),
                                               three_sequences(Read::kAll, false).view());
  expect_the_native_numbers_and_true_gradients(bert("BertForMaskedLM"),
                                               three_sequences(Read::kAll, true).view());
  expect_the_native_numbers_and_true_gradients(bert("BertModel"), three_sequences(Read::kAll, true).view());
}

TEST(TorchScored, DecodersWithLabelsGiveTheNativeNumbersAndTrueGradients) {
  for (const auto& [architecture, labels] : std::vector<std::pair<const char*, int>>{
           {"LlamaForSequenceClassification", 1}, {"LlamaForTokenClassification", 4}}) {
    const ModelConfig config =
        config_from({{"architectures", JsonArray{Json(architecture)}}, {"num_labels", labels}});
    const bool tokens = config.rows_read() == RowsRead::kAny;
    EXPECT_EQ(tokens, std::string_view(architecture).find("Token") != std::string_view::npos);
    expect_the_native_numbers_and_true_gradients(
        config, three_sequences(tokens ? Read::kAll : Read::kLast, false).view());
  }
}

// A reward model of every decoder: one label, no head for words.
TEST(TorchScored, EveryDecoderTakesAHeadForLabels) {
  for (const std::string& family : testing::decoder_families()) {
    if (family.find(':') != std::string::npos) continue;  // options change nothing here
    Random random(2);
    JsonObject json = testing::random_config(family, random);
    std::string name(json["architectures"].as_array()[0].as_string());
    name = name.substr(0, name.size() - std::string_view("ForCausalLM").size());  // as long as "LMHeadModel"
    json["architectures"] = JsonArray{Json(name + "ForSequenceClassification")};
    json["num_labels"] = 1;
    json["tie_word_embeddings"] = true;
    const ModelConfig config = ModelConfig::from_json(Json(json)).value();
    EXPECT_EQ(config.rows_read(), RowsRead::kLast);
    const std::vector<TensorSpec> specs = tensor_specs(config);
    EXPECT_EQ(specs.back().name, "score.weight");
    EXPECT_EQ(specs.back().shape, (std::vector<int64_t>{1, config.hidden_size}));
    expect_the_native_numbers_and_true_gradients(config, three_sequences(Read::kLast, false).view());
  }
}

TEST(TorchT5, GivesTheNativeNumbersAndTrueGradients) {
  for (const auto& [act, tied] : {std::pair{"relu", true}, {"gated-gelu", false}}) {
    const ModelConfig config = config_from({{"architectures", JsonArray{Json("T5ForConditionalGeneration")}},
                                            {"d_model", 32},
                                            {"d_kv", 8},
                                            {"d_ff", 40},
                                            {"num_layers", 2},
                                            {"num_heads", 4},
                                            {"relative_attention_num_buckets", 8},
                                            {"relative_attention_max_distance", 20},
                                            {"feed_forward_proj", act},
                                            {"tie_word_embeddings", tied}});
    Pairs pairs;
    pairs.add(ids_of(17, 1), ids_of(6, 2));
    pairs.add(ids_of(1, 3), ids_of(11, 4));
    expect_the_native_numbers_and_true_gradients(config, pairs.view());
  }
}

}  // namespace
}  // namespace volant
