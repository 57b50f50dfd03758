// Adapters as files and as merged numbers.
#include "models/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "io/safetensors.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

ModelConfig small_llama() {
  return ModelConfig::from_json(parse_json(R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
      "vocab_size": 40, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
      "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32,
      "rms_norm_eps": 1e-5, "tie_word_embeddings": true})")
                                    .value())
      .value();
}

std::vector<float> random_numbers(int64_t n, Random& random) {
  std::vector<float> numbers(static_cast<size_t>(n));
  for (float& x : numbers) x = static_cast<float>(random.normal());
  return numbers;
}

Adapter random_adapter(const ModelConfig& config, const AdapterSpec& spec) {
  Random random(5);
  Adapter adapter{.spec = spec, .base_model = "base", .factors = {}};
  for (const TensorSpec& tensor : tensor_specs(config)) {
    const auto names = adapted_tensors(config, spec).value();
    if (std::find(names.begin(), names.end(), tensor.name) == names.end()) continue;
    AdapterFactors& factors = adapter.factors[tensor.name];
    factors.a_rI = random_numbers(spec.r * tensor.shape[1], random);
    factors.b_Or = random_numbers(spec.r * tensor.shape[0], random);
    if (spec.kind == AdapterSpec::Kind::kDora) factors.magnitude_O = random_numbers(tensor.shape[0], random);
  }
  return adapter;
}

TEST(Adapter, AllLinearMeansEveryMatrixButEmbeddingsAndHead) {
  const auto names = adapted_tensors(small_llama(), {}).value();
  EXPECT_EQ(names.size(), 14U);
  EXPECT_EQ(names.front(), "model.layers.0.self_attn.q_proj.weight");
  const auto some = adapted_tensors(small_llama(), {.target_modules = {"v_proj", "0.mlp.up_proj"}}).value();
  EXPECT_EQ(some, (std::vector<std::string>{"model.layers.0.self_attn.v_proj.weight",
                                            "model.layers.0.mlp.up_proj.weight",
                                            "model.layers.1.self_attn.v_proj.weight"}));
}

TEST(Adapter, TargetsThatAreNoLinearLayersAreErrorsByName) {
  const auto error = [](const char* target) {
    return adapted_tensors(small_llama(), {.target_modules = {"q_proj", target}}).error().to_string();
  };
  EXPECT_THAT(error("qq_proj"), HasSubstr("'qq_proj'"));
  EXPECT_THAT(error("roj"), HasSubstr("'roj'"));  // whole parts of names alone
  EXPECT_THAT(error("embed_tokens"), HasSubstr("embeddings"));
  EXPECT_THAT(error("input_layernorm"), HasSubstr("norms"));
}

TEST(Adapter, ScaleFollowsTheKind) {
  EXPECT_DOUBLE_EQ((AdapterSpec{.kind = AdapterSpec::Kind::kLora, .r = 16, .alpha = 32}).scale(), 2);
  EXPECT_DOUBLE_EQ((AdapterSpec{.kind = AdapterSpec::Kind::kRsLora, .r = 16, .alpha = 32}).scale(), 8);
  EXPECT_DOUBLE_EQ((AdapterSpec{.kind = AdapterSpec::Kind::kDora, .r = 4, .alpha = 2}).scale(), 0.5);
}

TEST(Adapter, MergesAsTheFormulaSays) {
  // W = [1 2; 3 4], B A = [1; -1] [0.5 2], scale 3 / 1.
  const AdapterSpec lora{.kind = AdapterSpec::Kind::kLora, .r = 1, .alpha = 3};
  std::vector<float> w = {1, 2, 3, 4};
  merge_adapter({{0.5F, 2}, {1, -1}, {}}, lora, 2, 2, w);
  EXPECT_EQ(w, (std::vector<float>{2.5F, 8, 1.5F, -2}));
  AdapterSpec dora = lora;
  dora.kind = AdapterSpec::Kind::kDora;
  w = {1, 2, 3, 4};
  merge_adapter({{0.5F, 2}, {1, -1}, {10, 5}}, dora, 2, 2, w);
  const double first = std::hypot(2.5, 8), second = std::hypot(1.5, 2);
  EXPECT_NEAR(w[0], 10 * 2.5 / first, 1e-5);
  EXPECT_NEAR(w[1], 10 * 8 / first, 1e-5);
  EXPECT_NEAR(w[2], 5 * 1.5 / second, 1e-5);
  EXPECT_NEAR(w[3], 5 * -2 / second, 1e-5);
}

TEST(Adapter, ReadsWhatItWroteForEachKind) {
  const ModelConfig config = small_llama();
  for (const auto kind : {AdapterSpec::Kind::kLora, AdapterSpec::Kind::kRsLora, AdapterSpec::Kind::kDora}) {
    const testing::ScratchDir scratch;
    const Adapter adapter = random_adapter(
        config,
        {.kind = kind, .r = 3, .alpha = 7, .dropout = 0.25, .target_modules = {"down_proj", "q_proj"}});
    ASSERT_TRUE(write_adapter(scratch / "adapter", adapter, config));
    const Adapter back = read_adapter(scratch / "adapter", config).value();
    EXPECT_EQ(back.spec, adapter.spec);
    EXPECT_EQ(back.base_model, "base");
    ASSERT_EQ(back.factors.size(), 4U);
    for (const auto& [name, factors] : adapter.factors) {
      EXPECT_EQ(back.factors.at(name).a_rI, factors.a_rI);
      EXPECT_EQ(back.factors.at(name).b_Or, factors.b_Or);
      EXPECT_EQ(back.factors.at(name).magnitude_O, factors.magnitude_O);
    }
  }
}

TEST(Adapter, FilesHaveTheNamesAndFieldsOfPeft) {
  const ModelConfig config = small_llama();
  const testing::ScratchDir scratch;
  const Adapter adapter = random_adapter(config, {.kind = AdapterSpec::Kind::kDora, .r = 2, .alpha = 4});
  ASSERT_TRUE(write_adapter(scratch / "a", adapter, config));
  const SafetensorsFile file = SafetensorsFile::open(scratch / "a/adapter_model.safetensors").value();
  const std::string module = "base_model.model.model.layers.1.mlp.up_proj.";
  EXPECT_EQ(file.tensors().at(module + "lora_A.weight").shape, (std::vector<int64_t>{2, 8}));
  EXPECT_EQ(file.tensors().at(module + "lora_B.weight").shape, (std::vector<int64_t>{12, 2}));
  EXPECT_EQ(file.tensors().at(module + "lora_magnitude_vector").shape, (std::vector<int64_t>{12}));
  const Json json = parse_json(read_file(scratch / "a/adapter_config.json").value()).value();
  EXPECT_EQ(json.at("peft_type"), "LORA");
  EXPECT_EQ(json.at("task_type"), "CAUSAL_LM");
  EXPECT_EQ(json.at("use_dora"), true);
  EXPECT_EQ(json.at("lora_alpha"), 4);
  EXPECT_EQ(json.at("target_modules"),
            (JsonArray{"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"}));
}

class ForeignAdapter : public ::testing::Test {
 protected:
  void SetUp() override {
    numbers_.assign(16, 0.5F);
    half_.assign(8, 0x3F00);  // 0.5 in bf16
  }
  // Only what others must write, names with the adapter's own in them, one factor in bf16.
  Result<Adapter> read(const std::string& config, const std::string& a_name = "lora_A.default.weight") {
    const std::string module = "base_model.model.model.layers.0.self_attn.k_proj.";
    EXPECT_TRUE(write_file_atomic(scratch_ / "adapter_config.json", config));
    EXPECT_TRUE(write_safetensors(
        scratch_ / "adapter_model.safetensors",
        {{module + a_name, {"BF16", {1, 8}, std::as_bytes(std::span<const uint16_t>(half_))}},
         {module + "lora_B.default.weight",
          {"F32", {4, 1}, std::as_bytes(std::span<const float>(numbers_).first(4))}}}));
    return read_adapter(scratch_.path(), small_llama());
  }
  testing::ScratchDir scratch_;
  std::vector<float> numbers_;
  std::vector<uint16_t> half_;
};

TEST_F(ForeignAdapter, NamesWithDefaultAndOtherTypesAreRead) {
  const Adapter adapter =
      read(R"({"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": ["k_proj"], "bias": "none",
               "corda_config": null, "some_new_thing": false, "modules_to_save": null})")
          .value();
  EXPECT_EQ(adapter.factors.at("model.layers.0.self_attn.k_proj.weight").a_rI, std::vector<float>(8, 0.5F));
  EXPECT_DOUBLE_EQ(adapter.spec.scale(), 2);
}

TEST_F(ForeignAdapter, WhatIsNotDoneIsRefusedByName) {
  const auto error = [&](const std::string& fields) {
    return read(R"({"peft_type": "LORA", "r": 1, "target_modules": ["k_proj"], )" + fields + "}")
        .error()
        .to_string();
  };
  EXPECT_THAT(error(R"("modules_to_save": ["lm_head"])"), HasSubstr("modules_to_save"));
  EXPECT_THAT(error(R"("lora_bias": true)"), HasSubstr("lora_bias"));
  EXPECT_THAT(error(R"("bias": "all")"), HasSubstr("'bias'"));
  EXPECT_THAT(error(R"("rank_pattern": {"k_proj": 4})"), HasSubstr("rank_pattern"));
  EXPECT_THAT(error(R"("init_lora_weights": "pissa")"), HasSubstr("pissa"));
  EXPECT_THAT(error(R"("some_new_thing": 3)"), HasSubstr("some_new_thing"));
  EXPECT_THAT(error(R"("use_dora": true)"), HasSubstr("lora_magnitude_vector"));
  EXPECT_THAT(read(R"({"peft_type": "IA3"})").error().to_string(), HasSubstr("IA3"));
}

TEST_F(ForeignAdapter, WrongShapesAndForeignTensorsAreErrors) {
  const std::string config = R"({"peft_type": "LORA", "r": 2, "target_modules": ["k_proj"]})";
  EXPECT_THAT(read(config).error().to_string(), HasSubstr("rank 2"));
  EXPECT_THAT(read(R"({"peft_type": "LORA", "r": 1, "target_modules": ["k_proj"]})", "lora_embedding_A")
                  .error()
                  .to_string(),
              HasSubstr("lora_embedding_A"));
  EXPECT_THAT(read(R"({"peft_type": "LORA", "r": 0, "target_modules": ["k_proj"]})").error().to_string(),
              HasSubstr("'r'"));
}

}  // namespace
}  // namespace volant
