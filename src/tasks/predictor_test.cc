// Predictors: a BERT classifier against its golden scores, a network of random weights against plain loops;
// the same answer whatever the batch; folders that do not fit together.
#include "tasks/predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "tasks/table/table_encoder.h"
#include "tasks/text/text_encoder.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

// A table of two numbers: a and b, four rows.
std::vector<TaskRow> pairs() {
  std::vector<TaskRow> rows;
  for (const auto& [a, b] : {std::pair{1.0, 5.0}, {2.0, -3.0}, {-4.0, 0.5}, {7.0, 2.0}})
    rows.push_back({.input = JsonObject{{"a", a}, {"b", b}}});
  return rows;
}

// Writes a network of one hidden layer over that table; gives its tensors.
testing::NamedTensors write_network(const Path& folder, JsonObject extra) {
  JsonObject json{{"model_type", "network"},
                  {"input_shape", {2}},
                  {"layers", {{{"type", "dense"}, {"units", 3}}, {{"type", "tanh"}}}}};
  for (auto& entry : extra) json[entry.key()] = entry.value();
  const ModelConfig config = ModelConfig::from_json(json).value();
  Random random(4);
  EXPECT_TRUE(TableEncoder::learn({}, pairs()).value()->save(folder));
  return testing::write_random_model(folder, config, random);
}

// The network's outputs by plain loops in double.
std::vector<double> expected(const testing::NamedTensors& tensors, const std::vector<float>& features) {
  const auto dense = [&](const std::string& name, const std::vector<double>& x) {
    const std::vector<float>&weight = tensors.at(name + ".weight"), &bias = tensors.at(name + ".bias");
    std::vector<double> out(bias.begin(), bias.end());
    for (size_t r = 0; r < out.size(); ++r)
      for (size_t c = 0; c < x.size(); ++c) out[r] += static_cast<double>(weight[r * x.size() + c]) * x[c];
    return out;
  };
  std::vector<double> hidden = dense("layers.0", {features.begin(), features.end()});
  for (double& x : hidden) x = std::tanh(x);
  return dense("head", hidden);
}

const JsonObject kThree{{"problem_type", "single_label_classification"},
                        {"id2label", {{"0", "x"}, {"1", "y"}, {"2", "z"}}}};
const JsonObject kTwo{{"problem_type", "binary_classification"}, {"id2label", {{"0", "no"}, {"1", "yes"}}}};
const JsonObject kNumbers{{"problem_type", "regression"}, {"target_mean", 100.0}, {"target_deviation", 7.0}};

TEST(Predictor, GivesTheProbabilitiesOfANetwork) {
  const testing::ScratchDir dir;
  const testing::NamedTensors tensors = write_network(dir.path(), kThree);
  const auto predictor = Predictor::load(dir.path());
  ASSERT_TRUE(predictor) << predictor.error().to_string();
  EXPECT_EQ((*predictor)->problem(), Problem::kClasses);
  std::vector<Json> inputs;
  for (const TaskRow& row : pairs()) inputs.push_back(row.input);
  const std::vector<Prediction> got = (*predictor)->predict(inputs).value();
  ASSERT_EQ(got.size(), 4U);
  for (size_t i = 0; i < got.size(); ++i) {
    const std::vector<double> scores =
        expected(tensors, (*predictor)->encoder().encode(inputs[i]).value().features);
    double sum = 0;
    for (const double x : scores) sum += std::exp(x);
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(got[i].probabilities[k], std::exp(scores[k]) / sum, 1e-5);
    EXPECT_EQ(got[i].best, std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
}

TEST(Predictor, TwoLabelsGoByTheThreshold) {
  const testing::ScratchDir dir;
  const testing::NamedTensors tensors = write_network(dir.path(), kTwo);
  const auto predictor = Predictor::load(dir.path()).value();
  EXPECT_EQ(predictor->problem(), Problem::kBinary);
  const Json input = pairs()[1].input;
  const Prediction got = predictor->predict({&input, 1}).value()[0];
  const double score = expected(tensors, predictor->encoder().encode(input).value().features)[0];
  const double yes = 1 / (1 + std::exp(-score));
  ASSERT_EQ(got.probabilities.size(), 2U);
  EXPECT_NEAR(got.probabilities[1], yes, 1e-6);
  EXPECT_NEAR(got.probabilities[0], 1 - yes, 1e-6);
  EXPECT_EQ(got.best, yes >= 0.5 ? 1 : 0);
  for (const double threshold : {yes - 0.01, yes + 0.01}) {
    ASSERT_TRUE(write_file_atomic(dir / "predictor.json", dump_json(JsonObject{{"threshold", threshold}})));
    const auto again = Predictor::load(dir.path()).value();
    EXPECT_EQ(again->threshold(), threshold);
    EXPECT_EQ(again->predict({&input, 1}).value()[0].best, threshold < yes ? 1 : 0);
  }
}

TEST(Predictor, ANumberIsInTheUnitOfTheTargets) {
  const testing::ScratchDir dir;
  const testing::NamedTensors tensors = write_network(dir.path(), kNumbers);
  const auto predictor = Predictor::load(dir.path()).value();
  EXPECT_EQ(predictor->problem(), Problem::kNumber);
  const Json input = pairs()[2].input;
  const Prediction got = predictor->predict({&input, 1}).value()[0];
  EXPECT_TRUE(got.probabilities.empty());
  EXPECT_NEAR(got.value, 100 + 7 * expected(tensors, predictor->encoder().encode(input).value().features)[0],
              1e-4);
}

TEST(Predictor, TheBatchDoesNotMatter) {
  const testing::ScratchDir dir;
  write_network(dir.path(), kThree);
  const auto whole = Predictor::load(dir.path()).value();
  const auto one_by_one = Predictor::load(dir.path(), {.batch_rows = 1}).value();
  std::vector<EncodedInput> inputs;
  Random random(2);
  for (int i = 0; i < 50; ++i)
    inputs.push_back(
        {.features = {static_cast<float>(random.normal()), static_cast<float>(random.normal())}});
  const std::vector<float> a = whole->outputs(inputs).value(), b = one_by_one->outputs(inputs).value();
  ASSERT_EQ(a.size(), 150U);
  ASSERT_EQ(b.size(), 150U);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
}

TEST(Predictor, AnswersSeveralThreads) {
  const testing::ScratchDir dir;
  write_network(dir.path(), kThree);
  const auto predictor = Predictor::load(dir.path()).value();
  const Json input = pairs()[0].input;
  const double first = predictor->predict({&input, 1}).value()[0].probabilities[0];
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        EXPECT_EQ(predictor->predict({&input, 1}).value()[0].probabilities[0], first);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Predictor, BadInputIsNamedByItsNumberAndField) {
  const testing::ScratchDir dir;
  write_network(dir.path(), kThree);
  const auto predictor = Predictor::load(dir.path()).value();
  const std::vector<Json> inputs{pairs()[0].input, JsonObject{{"a", "x"}}};
  const auto refused = predictor->predict(inputs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().where, "input 1");
  EXPECT_THAT(refused.error().message, HasSubstr("field 'a'"));
  EXPECT_FALSE(predictor->predict_encoded(std::vector<EncodedInput>{{.features = {1}}}));
  EXPECT_FALSE(predictor->predict_encoded(std::vector<EncodedInput>{{.tokens = {1}}}));
  EXPECT_TRUE(predictor->predict({}).value().empty());
}

TEST(Predictor, FoldersThatDoNotFitTogetherAreRefused) {
  const testing::ScratchDir dir;
  write_network(dir.path(), kThree);
  std::vector<TaskRow> rows = pairs();
  for (TaskRow& row : rows) row.input.as_object()["c"] = 1;
  ASSERT_TRUE(TableEncoder::learn({}, rows).value()->save(dir.path()));
  EXPECT_THAT(Predictor::load(dir.path()).error().message, HasSubstr("gives 3 features, the model reads 2"));
  ASSERT_TRUE(volant::remove_all(dir / "encoder.json"));
  EXPECT_EQ(Predictor::load(dir.path()).error().code, ErrorCode::kNotFound);
  write_network(dir.path(), kThree);
  ASSERT_TRUE(write_file_atomic(dir / "predictor.json", R"({"threshold": 2})"));
  EXPECT_THAT(Predictor::load(dir.path()).error().to_string(), HasSubstr("from 0 to 1"));
}

class BertPredictor : public ::testing::Test {
 protected:
  void write(const Path& model, int64_t max_length) {
    for (const char* name : {"config.json", "model.safetensors"})
      ASSERT_TRUE(copy_all(model / name, dir_ / name));
    ASSERT_TRUE(TextEncoder::make(load_tokenizer(model).value(), {.max_length = max_length})
                    .value()
                    ->save(dir_.path()));
  }
  testing::ScratchDir dir_;
};

TEST_F(BertPredictor, GivesTheGoldenScores) {
  VOLANT_DATA_OR_SKIP(model, "models/tiny-bert");
  VOLANT_DATA_OR_SKIP(file, "golden/tiny-bert/golden.json");
  ASSERT_NO_FATAL_FAILURE(write(model, 64));
  const Json golden = parse_json(read_file(file).value()).value();
  std::vector<EncodedInput> inputs;
  for (size_t i = 0; i < 3; ++i) {
    EncodedInput input;
    for (size_t k = 0; golden.at("ids").at(i).as_array().size() > k; ++k) {
      if (golden.at("attention_mask").at(i).at(k).as_int64() == 0) break;
      input.tokens.push_back(static_cast<int32_t>(golden.at("ids").at(i).at(k).as_int64()));
      input.types.push_back(static_cast<int32_t>(golden.at("token_type_ids").at(i).at(k).as_int64()));
    }
    if (i == 2) input.types.clear();  // all 0
    inputs.push_back(std::move(input));
  }
  for (const int64_t batch_rows : {1, 15, 256}) {
    const auto predictor = Predictor::load(dir_.path(), {.batch_rows = batch_rows});
    ASSERT_TRUE(predictor) << predictor.error().to_string();
    EXPECT_EQ((*predictor)->labels(), (std::vector<std::string>{"negative", "neutral", "positive"}));
    const std::vector<float> got = (*predictor)->outputs(inputs).value();
    ASSERT_EQ(got.size(), 9U);
    for (size_t i = 0; i < 9; ++i)
      EXPECT_NEAR(got[i], golden.at("logits").at(i / 3).at(i % 3).as_double(), 1e-4) << batch_rows;
    EXPECT_EQ((*predictor)->predict_encoded(inputs).value()[0].best, 1);
  }
}

TEST_F(BertPredictor, TextsOfAnyLengthAreAnsweredOrCut) {
  VOLANT_DATA_OR_SKIP(model, "models/tiny-bert");
  ASSERT_NO_FATAL_FAILURE(write(model, 16));
  const auto predictor = Predictor::load(dir_.path()).value();
  std::string longest;
  for (int i = 0; i < 1000; ++i) longest += "word ";
  const std::vector<Json> inputs{JsonObject{{"text", ""}}, JsonObject{{"text", longest}},
                                 JsonObject{{"text", "a"}, {"text_pair", longest}}};
  const auto got = predictor->predict(inputs);
  ASSERT_TRUE(got) << got.error().to_string();
  for (const Prediction& p : *got)
    EXPECT_NEAR(p.probabilities[0] + p.probabilities[1] + p.probabilities[2], 1, 1e-9);
  // More tokens than the model has positions, an unknown id, an unknown type.
  const auto refused = [&](EncodedInput input) {
    return !predictor->predict_encoded({&input, 1}).has_value();
  };
  EXPECT_TRUE(refused({.tokens = std::vector<int32_t>(65, 5)}));
  EXPECT_TRUE(refused({.tokens = {512}}));
  EXPECT_TRUE(refused({.tokens = {-1}}));
  EXPECT_TRUE(refused({.tokens = {1}, .types = {2}}));
  EXPECT_TRUE(refused({.tokens = {1, 2}, .types = {0}}));
  EXPECT_TRUE(refused({}));
  EXPECT_FALSE(refused({.tokens = std::vector<int32_t>(64, 5)}));
}

TEST(Problem, ProbabilitiesOfLargeOutputsAreFinite) {
  const std::vector<float> large{1000, 999, -1000};
  const std::vector<double> p = probabilities_of(Problem::kClasses, large);
  EXPECT_NEAR(p[0], 1 / (1 + std::exp(-1.0)), 1e-12);
  EXPECT_EQ(p[2], 0);
  const std::vector<float> low{-800};
  EXPECT_EQ(probabilities_of(Problem::kBinary, low), (std::vector<double>{1, 0}));
}

TEST(Problem, TheScaleOfTargetsIsTheirMeanAndDeviation) {
  const std::vector<double> targets{1, 2, 3, 6}, constant{5, 5};
  EXPECT_DOUBLE_EQ(target_scale(targets).mean, 3);
  EXPECT_DOUBLE_EQ(target_scale(targets).deviation, std::sqrt(3.5));
  EXPECT_EQ(target_scale(constant).deviation, 1);
  EXPECT_EQ(target_scale({}).deviation, 1);
}

}  // namespace
}  // namespace volant
