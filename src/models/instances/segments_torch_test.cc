// Layers as segments in training: forgotten and made again they give the same gradients to the bit, and what
// is told of a layer in the backward pass is its gradient as it stays.
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "models/instances/torch.h"
#include "support/random_model.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using testing::Pairs;
using testing::TokenRows;

std::vector<int32_t> ids_of(size_t n, size_t seed) {
  std::vector<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>((seed + 13 * i * i + 5 * i) % 60);
  return ids;
}

// A model of every family with layers, and a batch for it.
struct Case {
  std::string name;
  ModelConfig config;
  TokenRows rows;
  Pairs pairs;
  Batch batch() const { return config.has_source() ? pairs.view() : rows.view(); }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](const std::string& name, JsonObject json) {
    Case& c = all.emplace_back(Case{name, ModelConfig::from_json(Json(std::move(json))).value(), {}, {}});
    for (const size_t n : {9, 1, 22}) {
      c.rows.add(ids_of(n, n), TokenRows::Read::kAll);
      c.pairs.add(ids_of(n, n + 1), ids_of(n + 3, n));
    }
  };
  for (const std::string& family : testing::decoder_families()) {
    Random random(3);
    add(family, testing::random_config(family, random));
  }
  add("bert", {{"architectures", JsonArray{Json("BertForMaskedLM")}},
               {"vocab_size", 60},
               {"hidden_size", 32},
               {"intermediate_size", 48},
               {"num_hidden_layers", 3},
               {"num_attention_heads", 4},
               {"num_key_value_heads", 4},
               {"max_position_embeddings", 64}});
  add("t5", {{"architectures", JsonArray{Json("T5ForConditionalGeneration")}},
             {"vocab_size", 60},
             {"d_model", 32},
             {"d_kv", 8},
             {"d_ff", 40},
             {"num_layers", 2},
             {"num_heads", 4},
             {"relative_attention_num_buckets", 8},
             {"relative_attention_max_distance", 20},
             {"feed_forward_proj", "gated-gelu"},
             {"tie_word_embeddings", false}});
  return all;
}

TorchModel make(const ModelConfig& config, const TorchOptions& options) {
  TorchModel model = TorchModel::create(config, options).value();
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    Random random(i + 1);
    std::vector<float> numbers(static_cast<size_t>(spec.count()));
    const double width = spec.shape.size() == 2 ? std::sqrt(static_cast<double>(spec.shape[1])) : 1;
    for (float& x : numbers) x = static_cast<float>(random.normal() / width);
    model.write(i, numbers);
  }
  if (options.adapter) model.start_adapters(5);
  for (const auto& p : model.parameters())
    if (p.spec.name.find("lora_B") != std::string::npos) std::fill(p.values.begin(), p.values.end(), 0.01F);
  model.weights_changed();
  return model;
}

// Half the sum of squares of the output.
double squares(std::span<const float> output, std::span<float> gradient) {
  double sum = 0;
  for (size_t i = 0; i < output.size(); ++i) {
    sum += 0.5 * static_cast<double>(output[i]) * static_cast<double>(output[i]);
    gradient[i] = output[i];
  }
  return sum;
}

std::vector<std::vector<float>> gradients_of(const TorchModel& model) {
  std::vector<std::vector<float>> all;
  for (const auto& p : model.parameters()) all.emplace_back(p.gradient.begin(), p.gradient.end());
  return all;
}

void expect_same_gradients(const Case& c, TorchOptions options) {
  std::vector<std::vector<float>> plain;
  double loss = 0;
  for (const bool forget : {false, true}) {
    options.checkpoint_activations = forget;
    TorchModel model = make(c.config, options);
    model.begin_step(7);
    double now = 0;
    for (int pass = 0; pass < 2; ++pass)
      now += model.output_loss_and_gradient(c.batch(), squares, 0.5F).value();
    if (!forget) {
      loss = now;
      plain = gradients_of(model);
      continue;
    }
    EXPECT_EQ(now, loss);
    const std::vector<std::vector<float>> got = gradients_of(model);
    ASSERT_EQ(got.size(), plain.size());
    for (size_t i = 0; i < got.size(); ++i) {
      double norm = 0;
      for (const float g : plain[i]) norm += std::abs(static_cast<double>(g));
      EXPECT_EQ(got[i], plain[i]) << model.parameters()[i].spec.name << ", of size " << norm;
    }
  }
}

TEST(ForgottenSegments, GradientsAreThoseOfKeptActivationsToTheBit) {
  for (const Case& c : cases())
    for (const bool bf16 : {false, true}) {
      SCOPED_TRACE(c.name + (bf16 ? " bf16" : ""));
      expect_same_gradients(c, {.bf16 = bf16});
    }
}

TEST(ForgottenSegments, DropoutOfAdaptersIsDrawnAgainAsItWas) {
  for (const Case& c : cases())
    if (c.name == "llama" || c.name == "gpt2")
      expect_same_gradients(c, {.adapter = AdapterSpec{.r = 3, .alpha = 4, .dropout = 0.3}});
}

TEST(ForgottenSegments, WhatIsFrozenBelowOrEverywhereInALayerMakesNoDifference) {
  for (const Case& c : cases()) {
    if (c.name != "llama") continue;
    expect_same_gradients(
        c, {.trains = [](const TensorSpec& s) { return s.name.find("layers.1.") != std::string::npos; }});
    expect_same_gradients(c, {.trains = [](const TensorSpec& s) { return s.name == "model.norm.weight"; }});
    expect_same_gradients(
        c, {.trains = [](const TensorSpec& s) { return s.name.find("embed") != std::string::npos; }});
  }
}

TEST(Segments, WhatIsToldOfALayerIsItsGradientAsItStays) {
  for (const Case& c : cases())
    for (const bool forget : {false, true}) {
      SCOPED_TRACE(c.name);
      TorchModel model = make(c.config, {.checkpoint_activations = forget});
      struct Told {
        size_t group;
        bool last;
        std::vector<float> gradient;
      };
      std::vector<Told> told;
      model.on_gradients([&](size_t group, bool last) {
        const auto g = model.groups()[group].gradient;
        told.push_back({group, last, {g.begin(), g.end()}});
      });
      model.begin_step(1);
      model.expect_passes(2, 3);
      ASSERT_TRUE(model.output_loss_and_gradient(c.batch(), squares, 1));
      for (const Told& t : told) EXPECT_FALSE(t.last);
      const size_t n = told.size();
      told.clear();
      ASSERT_TRUE(model.output_loss_and_gradient(c.batch(), squares, 1));
      EXPECT_EQ(told.size(), n);
      // The layers of T5's decoder are told of with its encoder's last.
      EXPECT_EQ(n, c.name == "t5" ? 3 : model.groups().size());
      for (size_t i = 0; i < told.size(); ++i) {
        EXPECT_TRUE(told[i].last);
        EXPECT_EQ(told[i].group, i + 1 == told.size() ? model.groups().size() - 1 : n - 2 - i);
        const auto g = model.groups()[told[i].group].gradient;
        EXPECT_EQ(told[i].gradient, std::vector<float>(g.begin(), g.end()));
        double size = 0;
        for (const float x : g) size += std::abs(static_cast<double>(x));
        EXPECT_GT(size, 0);
      }
    }
}

TEST(Groups, EveryParameterLiesInItsLayersGroup) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const TorchModel model = make(c.config, {});
    for (const auto& p : model.parameters()) {
      const auto in = [&](const TorchModel::Group& g) {
        return p.values.data() >= g.values.data() &&
               p.values.data() + p.values.size() <= g.values.data() + g.values.size() &&
               p.gradient.data() - g.gradient.data() == p.values.data() - g.values.data();
      };
      EXPECT_EQ(std::ranges::count_if(model.groups(), in), 1) << p.spec.name;
      EXPECT_NE(in(model.groups().back()), std::regex_search(p.spec.name, std::regex(R"(\.\d+\.)")))
          << p.spec.name;
    }
  }
}

// Weights that are no numbers outside of the times at which they are needed, as those of other processes.
class WeightsAway {
 public:
  explicit WeightsAway(TorchModel& model) : model_(model) {
    for (const TorchModel::Group& group : model.groups()) {
      kept_.emplace_back(group.values.begin(), group.values.end());
      std::ranges::fill(group.values, NAN);
    }
    model.weights_changed();
    model.on_weights({.need = [this](size_t group, bool) { bring(group); },
                      .done = [this](size_t layer) { take(layer); }});
  }
  ~WeightsAway() { model_.on_weights({}); }
  size_t n_brought() const { return n_brought_; }

 private:
  void bring(size_t group) {
    ++n_brought_;
    std::ranges::copy(kept_[group], model_.groups()[group].values.begin());
  }
  void take(size_t group) {
    std::ranges::fill(model_.groups()[group].values, NAN);
    model_.drop_copies(group);
  }
  TorchModel& model_;
  std::vector<std::vector<float>> kept_;
  size_t n_brought_ = 0;
};

TEST(WeightsWhereNeeded, PassesReadThemBetweenNeedAndDoneAlone) {
  for (const Case& c : cases()) {
    if (c.name == "t5") continue;  // its decoder's layers are no segments
    for (const bool forget : {false, true})
      for (const bool adapted : {false, true}) {
        SCOPED_TRACE(c.name + (forget ? " forgotten" : "") + (adapted ? " adapted" : ""));
        TorchOptions options{.checkpoint_activations = forget};
        if (adapted && c.name != "bert") options.adapter = AdapterSpec{.r = 3, .alpha = 4};
        TorchModel model = make(c.config, options);
        const std::vector<float> output = model.output(c.batch()).value();
        ASSERT_TRUE(model.output_loss_and_gradient(c.batch(), squares, 0.5F));
        const std::vector<std::vector<float>> want = gradients_of(model);
        model.zero_gradients();
        const WeightsAway away(model);
        EXPECT_EQ(model.output(c.batch()).value(), output);
        const size_t n_layers = model.groups().size() - 1;
        EXPECT_EQ(away.n_brought(), 1 + n_layers);
        ASSERT_TRUE(model.output_loss_and_gradient(c.batch(), squares, 0.5F));
        EXPECT_EQ(away.n_brought(), 2 + 3 * n_layers);
        const std::vector<std::vector<float>> got = gradients_of(model);
        for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], want[i]) << model.parameters()[i].spec.name;
      }
  }
}

}  // namespace
}  // namespace volant
