// What a network's configuration may say, which tensors follow from it, and what is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/check_batch.h"
#include "models/family.h"
#include "models/network_plan.h"

namespace volant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

JsonObject json_of(const char* text) { return parse_json(text).value().as_object(); }

const char* const kDigits = R"({"model_type": "network", "architectures": ["NetworkForPrediction"],
  "problem_type": "single_label_classification", "input_shape": [1, 28, 28],
  "layers": [{"type": "conv", "channels": 32, "kernel": 3}, {"type": "relu"}, {"type": "max_pool", "size": 2},
             {"type": "dense", "units": 128}, {"type": "relu"}, {"type": "dropout", "p": 0.5}],
  "id2label": {"0": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "6": "6", "7": "7", "8": "8", "9": "9"}})";

const char* const kEverything = R"({"model_type": "network", "problem_type": "binary_classification",
  "vocab_size": 50, "max_position_embeddings": 32, "pad_token_id": 0,
  "layers": [{"type": "embedding", "units": 8}, {"type": "lstm", "units": 6, "bidirectional": true},
             {"type": "gru", "units": 5}, {"type": "layer_norm"}, {"type": "dropout", "p": 0.25},
             {"type": "mean_rows"},
             {"type": "residual", "layers": [{"type": "dense", "units": 7}, {"type": "batch_norm"}]},
             {"type": "gelu"}, {"type": "tanh"}],
  "id2label": {"0": "no", "1": "yes"}})";

ModelConfig config_of(const char* text) { return ModelConfig::from_json(json_of(text)).value(); }

// The refusal of a picture network with these layers.
std::string refusal_of_layers(const std::string& layers) {
  JsonObject json = json_of(kDigits);
  json["layers"] = parse_json(layers).value();
  const Result<ModelConfig> config = ModelConfig::from_json(json);
  EXPECT_FALSE(config) << layers;
  return config ? "" : config.error().to_string();
}
std::string refusal(const char* text, const char* key, const Json& value) {
  JsonObject json = json_of(text);
  json[key] = value;
  const Result<ModelConfig> config = ModelConfig::from_json(json);
  EXPECT_FALSE(config) << key;
  return config ? "" : config.error().to_string();
}

std::map<std::string, std::vector<int64_t>> shapes_of(const ModelConfig& config) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const TensorSpec& spec : tensor_specs(config)) shapes[spec.name] = spec.shape;
  return shapes;
}

TEST(Network, TensorsHavePyTorchsNamesAndShapes) {
  const auto shapes = shapes_of(config_of(kDigits));
  EXPECT_EQ(shapes, (std::map<std::string, std::vector<int64_t>>{{"layers.0.weight", {32, 1, 3, 3}},
                                                                 {"layers.0.bias", {32}},
                                                                 {"layers.3.weight", {128, 32 * 13 * 13}},
                                                                 {"layers.3.bias", {128}},
                                                                 {"head.weight", {10, 128}},
                                                                 {"head.bias", {10}}}));
  const auto all = shapes_of(config_of(kEverything));
  EXPECT_EQ(all.at("layers.0.weight"), (std::vector<int64_t>{50, 8}));
  EXPECT_EQ(all.at("layers.1.weight_ih_l0"), (std::vector<int64_t>{24, 8}));
  EXPECT_EQ(all.at("layers.1.weight_hh_l0_reverse"), (std::vector<int64_t>{24, 6}));
  EXPECT_EQ(all.at("layers.2.weight_ih_l0"), (std::vector<int64_t>{15, 12}));
  EXPECT_EQ(all.at("layers.2.bias_hh_l0"), (std::vector<int64_t>{15}));
  EXPECT_EQ(all.at("layers.6.layers.0.weight"), (std::vector<int64_t>{7, 5}));
  EXPECT_EQ(all.at("layers.6.layers.1.running_var"), (std::vector<int64_t>{7}));
  EXPECT_EQ(all.at("layers.6.projection.weight"), (std::vector<int64_t>{7, 5}));
  EXPECT_EQ(all.at("head.weight"), (std::vector<int64_t>{1, 7}));  // two labels, one number
}

TEST(Network, SizesCountWhatIsTrained) {
  const ModelConfig digits = config_of(kDigits);
  EXPECT_EQ(digits.n_parameters(), 32 * 9 + 32 + 5408 * 128 + 128 + 1280 + 10);
  EXPECT_EQ(digits.row_flops(true), 2.0 * (26 * 26 * 32 * 9 + 5408 * 128 + 1280));
  EXPECT_EQ(digits.hidden_size, 128);
  EXPECT_EQ(digits.n_outputs(), 10);
  EXPECT_EQ(digits.output, ModelOutput::kLabels);
  int64_t all = 0;
  const ModelConfig everything = config_of(kEverything);
  for (const TensorSpec& spec : tensor_specs(everything)) all += spec.count();
  EXPECT_EQ(everything.n_parameters(), all - 14);  // 7 running means and variances
  EXPECT_EQ(everything.n_outputs(), 1);
}

TEST(Network, StartsAreThoseOfPyTorch) {
  for (const TensorSpec& spec : tensor_specs(config_of(kEverything))) {
    if (spec.name.starts_with("layers.1.")) {
      EXPECT_EQ(spec.init, TensorInit::kUniform) << spec.name;
      EXPECT_DOUBLE_EQ(spec.bound, 1 / std::sqrt(6.0)) << spec.name;
    }
    if (spec.name.starts_with("layers.6.layers.0.")) {
      EXPECT_DOUBLE_EQ(spec.bound, 1 / std::sqrt(5.0)) << spec.name;
    }
    if (spec.name == "layers.6.layers.1.running_var") {
      EXPECT_EQ(spec.init, TensorInit::kOne);
    }
  }
  for (const TensorSpec& spec : tensor_specs(config_of(kDigits))) {
    if (spec.name.starts_with("layers.0.")) {
      EXPECT_DOUBLE_EQ(spec.bound, 1 / 3.0) << spec.name;
    }
  }
}

TEST(Network, ConfigurationsAreReadAsTheyWereWritten) {
  for (const char* text : {kDigits, kEverything}) {
    const ModelConfig config = config_of(text);
    const Json written = config.to_json();
    const ModelConfig again = ModelConfig::from_json(written).value();
    EXPECT_EQ(again.to_json(), written);
    EXPECT_EQ(shapes_of(again), shapes_of(config));
    EXPECT_EQ(again.labels, config.labels);
  }
  JsonObject number = json_of(kDigits);
  number.erase("id2label");
  number["problem_type"] = "regression";
  number["target_mean"] = 3.5;
  number["target_deviation"] = 2.0;
  const ModelConfig config = ModelConfig::from_json(number).value();
  EXPECT_EQ(config.n_outputs(), 1);
  const ModelConfig again = ModelConfig::from_json(config.to_json()).value();
  EXPECT_TRUE(again.labels.empty());
  EXPECT_EQ(std::get<NetworkFields>(again.own).target_mean, 3.5);
  EXPECT_EQ(std::get<NetworkFields>(again.own).target_deviation, 2.0);
}

TEST(Network, UnknownLayersAndKeysAreRefusedWithTheNearestName) {
  EXPECT_THAT(refusal_of_layers(R"([{"type": "relu"}, {"type": "dens", "units": 3}])"),
              AllOf(HasSubstr("layers.1"), HasSubstr("'dens'"), HasSubstr("did you mean 'dense'?")));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "conv", "chanels": 3, "kernel": 2}])"),
              AllOf(HasSubstr("layers.0"), HasSubstr("'chanels'"), HasSubstr("did you mean 'channels'?")));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "residual", "layers": [{"type": "dense", "unit": 3}]}])"),
              AllOf(HasSubstr("layers.0.layers.0: "), HasSubstr("'unit'"), HasSubstr("'units'")));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "max_pool", "size": 2, "padding": 1}])"),
              HasSubstr("'padding'"));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "dense"}])"), HasSubstr("units"));
  EXPECT_THAT(refusal_of_layers(R"([5])"), HasSubstr("object"));
  EXPECT_THAT(refusal(kDigits, "layer", JsonArray()), AllOf(HasSubstr("'layer'"), HasSubstr("'layers'")));
  EXPECT_THAT(refusal(kDigits, "problem_type", "multi_label_classification"),
              HasSubstr("multi_label_classification"));
}

TEST(Network, ShapesAreCheckedThroughAllLayers) {
  EXPECT_THAT(
      refusal_of_layers(R"([{"type": "dense", "units": 9}, {"type": "conv", "channels": 3, "kernel": 2}])"),
      AllOf(HasSubstr("layers.1 (conv)"), HasSubstr("rows of 9 numbers")));
  EXPECT_THAT(
      refusal_of_layers(R"([{"type": "max_pool", "size": 7}, {"type": "conv", "channels": 3, "kernel": 5}])"),
      AllOf(HasSubstr("layers.1 (conv)"), HasSubstr("kernel of 5"), HasSubstr("1 x 4 x 4")));
  EXPECT_THAT(refusal_of_layers(
                  R"([{"type": "residual", "layers": [{"type": "conv", "channels": 3, "kernel": 4}]}])"),
              AllOf(HasSubstr("layers.0 (residual)"), HasSubstr("3 x 25 x 25"), HasSubstr("1 x 28 x 28")));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "lstm", "units": 9}])"), HasSubstr("layers.0 (lstm)"));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "layer_norm"}])"), HasSubstr("flatten"));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "embedding", "units": 9}])"), HasSubstr("vocab_size"));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "dropout", "p": 1}])"), HasSubstr("'p' is 1"));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "residual", "layers": []}])"), HasSubstr("none"));
  EXPECT_THAT(refusal_of_layers(R"([{"type": "average_pool", "stride": 2}])"), HasSubstr("'stride'"));
  EXPECT_THAT(refusal(kDigits, "input_shape", {28, 28}), HasSubstr("2 sizes"));
  EXPECT_THAT(refusal(kDigits, "vocab_size", 10), HasSubstr("one of them"));
  EXPECT_THAT(refusal(kEverything, "layers", parse_json(R"([{"type": "embedding", "units": 4}])").value()),
              HasSubstr("mean_rows"));
  EXPECT_THAT(refusal(kEverything, "layers", parse_json(R"([{"type": "dense", "units": 4}])").value()),
              AllOf(HasSubstr("layers.0 (dense)"), HasSubstr("embedding")));
  EXPECT_THAT(refusal(kEverything, "id2label", parse_json(R"({"0": "a", "1": "b", "2": "c"})").value()),
              HasSubstr("expected 2"));
}

TEST(Network, HostileSizesAreErrors) {
  for (const char* layers :
       {R"([{"type": "dense", "units": 9000000000000000000}])", R"([{"type": "dense", "units": 16777216}])",
        R"([{"type": "dense", "units": -1}])", R"([{"type": "conv", "channels": 16777216, "kernel": 1}])",
        R"([{"type": "conv", "channels": 1, "kernel": 9000000000000000000}])",
        R"([{"type": "conv", "channels": 1, "kernel": 3, "padding": 9000000000000000000}])",
        R"([{"type": "conv", "channels": 1, "kernel": 3, "stride": 9000000000000000000}])",
        R"([{"type": "max_pool", "size": 2, "stride": 9000000000000000000}])",
        R"([{"type": "max_pool", "size": -3}])"})
    refusal_of_layers(layers);
  refusal(kDigits, "input_shape", {int64_t{1} << 40, int64_t{1} << 40, int64_t{1} << 40});
  refusal(kDigits, "input_shape", {16384, 16384, 16384});
  refusal(kDigits, "input_shape", {0});
  JsonArray many;
  for (int i = 0; i < 2000; ++i) many.push_back(JsonObject{{"type", "relu"}});
  EXPECT_THAT(refusal(kDigits, "layers", many), HasSubstr("1024"));
}

TEST(Network, BatchesMustBeWhatItReads) {
  const ModelConfig digits = config_of(kDigits), text = config_of(kEverything);
  const std::vector<float> pictures(2 * 784);
  const std::vector<int32_t> rows{0, 1}, begins{0, 1, 2}, empty_first{0, 0, 2}, tokens{3, 49}, wrong{3, 50};
  Batch batch{.tokens = {}, .pos = {}, .seq_begin = begins, .kv_slot = {}, .out_rows = rows};
  batch.features = pictures;
  batch.feature_columns = 784;
  EXPECT_TRUE(check_batch(digits, batch));
  EXPECT_THAT(check_batch(text, batch).error().message, HasSubstr("token ids"));
  batch.feature_columns = 392;
  EXPECT_THAT(check_batch(digits, batch).error().message, HasSubstr("784"));
  batch.feature_columns = 784;
  batch.features = {};
  EXPECT_FALSE(check_batch(digits, batch));
  batch.feature_columns = 0;
  EXPECT_FALSE(check_batch(digits, batch));
  batch.tokens = batch.pos = tokens;
  EXPECT_FALSE(check_batch(digits, batch));
  EXPECT_TRUE(check_batch(text, batch));
  batch.seq_begin = empty_first;
  EXPECT_THAT(check_batch(text, batch).error().message, HasSubstr("sequence 0"));
  batch.seq_begin = begins;
  batch.tokens = wrong;
  EXPECT_FALSE(check_batch(text, batch));
}

TEST(Network, BareSequentialNamesAreUnderstood) {
  EXPECT_EQ(config_of(kDigits).family->canonical_name("0.weight"), "layers.0.weight");
  EXPECT_EQ(config_of(kDigits).family->canonical_name("head.weight"), "head.weight");
  EXPECT_TRUE(config_of(kDigits).family->may_be_left_over("layers.1.num_batches_tracked"));
}

}  // namespace
}  // namespace volant
