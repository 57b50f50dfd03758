// T5 on the native backend against plain loops in double precision: both kinds of feed-forward layer, tied
// and not, several sources in one batch; decoding through the cache; what is refused.
#include "models/t5.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "models/instances/native.h"
#include "support/plain_math.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/token_rows.h"

namespace volant {
namespace {

using namespace testing;  // NOLINT: plain_*
using ::testing::HasSubstr;

constexpr size_t kD = 24, kHeads = 3, kHeadDim = 8;

JsonObject small_json(bool gated, bool tied) {
  return {{"architectures", JsonArray{Json("T5ForConditionalGeneration")}},
          {"model_type", "t5"},
          {"vocab_size", 50},
          {"d_model", kD},
          {"d_kv", kHeadDim},
          {"d_ff", 40},
          {"num_layers", 2},
          {"num_decoder_layers", 3},
          {"num_heads", kHeads},
          {"relative_attention_num_buckets", 8},
          {"relative_attention_max_distance", 20},
          {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
          {"tie_word_embeddings", tied},
          {"decoder_start_token_id", 0}};
}

ModelConfig small_config(bool gated, bool tied) {
  return ModelConfig::from_json(Json(small_json(gated, tied))).value();
}

// Logits of one pair by the definitions in the paper.
class Reference {
 public:
  Reference(const ModelConfig& config, const NamedTensors& numbers) : config_(config), w_(numbers) {}

  Rows logits(const std::vector<int32_t>& source, const std::vector<int32_t>& target) const {
    const Rows memory = stack("encoder.", 2, plain_embed(w_.at("shared.weight"), kD, source), nullptr);
    Rows x = stack("decoder.", 3, plain_embed(w_.at("shared.weight"), kD, target), &memory);
    if (!config_.tie_word_embeddings) return plain_linear(x, w_.at("lm_head.weight"));
    return plain_map(plain_linear(x, w_.at("shared.weight")),
                     [](double v) { return v / std::sqrt(static_cast<double>(kD)); });
  }

 private:
  // The table of the paper's appendix, for 8 buckets and a longest distance of 20.
  static size_t bucket(int64_t key_minus_query, bool both_ways) {
    size_t first = 0;
    int64_t n = -key_minus_query, buckets = 8;
    if (both_ways) {
      buckets = 4;
      if (n < 0) first = 4, n = -n;
    }
    n = std::max<int64_t>(n, 0);
    const int64_t exact = buckets / 2;
    if (n < exact) return first + static_cast<size_t>(n);
    const double ratio = std::log(static_cast<double>(n) / static_cast<double>(exact)) /
                         std::log(20.0 / static_cast<double>(exact));
    return first +
           static_cast<size_t>(std::min(
               buckets - 1, exact + static_cast<int64_t>(ratio * static_cast<double>(buckets - exact))));
  }

  Rows stack(const std::string& root, int n_layer, Rows x, const Rows* memory) const {
    const std::vector<float>& table =
        w_.at(root + "block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    for (int i = 0; i < n_layer; ++i) {
      const std::string p = root + "block." + std::to_string(i) + ".layer.";
      const auto own = [&](size_t h, size_t t, size_t u) {
        if (memory != nullptr && u > t) return -std::numeric_limits<double>::infinity();
        const int64_t distance = static_cast<int64_t>(u) - static_cast<int64_t>(t);
        return static_cast<double>(table[bucket(distance, memory == nullptr) * kHeads + h]);
      };
      const Rows h = norm(x, p + "0.");
      x = plain_add(x, attend(p + "0.SelfAttention.", h, h, own));
      if (memory != nullptr)
        x = plain_add(x, attend(p + "1.EncDecAttention.", norm(x, p + "1."), *memory,
                                [](size_t, size_t, size_t) { return 0.0; }));
      const std::string last = p + (memory != nullptr ? "2." : "1.");
      x = plain_add(x, feed_forward(last + "DenseReluDense.", norm(x, last)));
    }
    return plain_rms_norm(x, w_.at(root + "final_layer_norm.weight"), 1e-6);
  }
  Rows norm(const Rows& x, const std::string& prefix) const {
    return plain_rms_norm(x, w_.at(prefix + "layer_norm.weight"), 1e-6);
  }
  Rows attend(const std::string& p, const Rows& x, const Rows& seen,
              const std::function<double(size_t, size_t, size_t)>& bias) const {
    return plain_linear(
        plain_attention(plain_linear(x, w_.at(p + "q.weight")), plain_linear(seen, w_.at(p + "k.weight")),
                        plain_linear(seen, w_.at(p + "v.weight")), kHeads, kHeads, 1, bias),
        w_.at(p + "o.weight"));
  }
  Rows feed_forward(const std::string& p, const Rows& x) const {
    if (!std::get<T5Fields>(config_.own).gated_gelu)
      return plain_linear(
          plain_map(plain_linear(x, w_.at(p + "wi.weight")), [](double v) { return std::max(v, 0.0); }),
          w_.at(p + "wo.weight"));
    return plain_linear(plain_mul(plain_map(plain_linear(x, w_.at(p + "wi_0.weight")), plain_gelu_tanh),
                                  plain_linear(x, w_.at(p + "wi_1.weight"))),
                        w_.at(p + "wo.weight"));
  }

  const ModelConfig& config_;
  const NamedTensors& w_;
};

std::vector<int32_t> some_ids(size_t n, int32_t from) {
  std::vector<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>((static_cast<size_t>(from) + 7 * i * i) % 50);
  return ids;
}

TEST(T5, LogitsEqualPlainLoopsForSeveralPairsInABatch) {
  for (const auto& [gated, tied] : {std::pair{false, true}, {true, false}, {true, true}}) {
    const ScratchDir scratch;
    const ModelConfig config = small_config(gated, tied);
    Random random(3);
    const NamedTensors numbers = write_random_model(scratch.path(), config, random);
    const auto model = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 2}).value();
    const std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> pairs = {
        {some_ids(30, 1), some_ids(12, 0)},
        {some_ids(1, 5), some_ids(40, 2)},
        {some_ids(17, 9), some_ids(1, 3)}};
    Pairs batch;
    Rows expected;
    for (const auto& [source, target] : pairs) {
      batch.add(source, target);
      const Rows rows = Reference(config, numbers).logits(source, target);
      expected.insert(expected.end(), rows.begin(), rows.end());
    }
    const auto got = model->logits(batch.view());
    ASSERT_EQ(got.size(), expected.size() * 50);
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i / 50][i % 50], 1e-3) << "gated " << gated << " number " << i;
  }
}

TEST(T5, CacheGivesTheBitsOfOnePass) {
  const ScratchDir scratch;
  Random random(4);
  write_random_model(scratch.path(), small_config(true, true), random);
  const Checkpoint checkpoint = Checkpoint::open(scratch.path()).value();
  const auto model = NativeModel::load(checkpoint, {.n_threads = 2, .n_slot = 2, .n_ctx = 64}).value();
  const std::vector<int32_t> source = some_ids(30, 1), target = some_ids(20, 0);
  Pairs whole;
  whole.add(source, target);
  const auto all = model->logits(whole.view());
  const std::vector<float> expected(all.begin(), all.end());
  std::vector<float> got;
  const std::vector<int32_t> slot{1};
  for (size_t t = 0; t < target.size(); ++t) {
    Pairs step;
    step.add(t == 0 ? source : std::vector<int32_t>(), {target[t]});
    step.pos[0] = static_cast<int32_t>(t);
    step.source_lengths[0] = static_cast<int32_t>(source.size());
    Batch batch = step.view();
    batch.kv_slot = slot;
    const auto logits = model->logits(batch);
    got.insert(got.end(), logits.begin(), logits.end());
  }
  EXPECT_EQ(got, expected);
}

TEST(T5, WhatIsNotDoneIsRefusedByName) {
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, Json>>{{"feed_forward_proj", "gated-silu"},
                                                 {"d_model", 0},
                                                 {"relative_attention_num_buckets", 7},
                                                 {"decoder_start_token_id", 50}}) {
    JsonObject json = small_json(false, true);
    json[key] = value;
    const auto read = ModelConfig::from_json(Json(json));
    ASSERT_FALSE(read) << key;
    EXPECT_THAT(read.error().message, HasSubstr(std::string_view(key) == "d_model" ? "hidden_size" : key));
  }
}

// Version 5 of Transformers says that every head is tied; the file and the scale tell whether it is.
TEST(T5, AHeadOfItsOwnIsFoundWhereTransformers5SaysItIsTied) {
  const ScratchDir scratch;
  Random random(4);
  write_random_model(scratch.path(), small_config(true, false), random);
  Pairs batch;
  batch.add(some_ids(9, 1), some_ids(4, 0));
  const auto logits = [&] {
    const auto model = NativeModel::load(Checkpoint::open(scratch.path()).value(), {.n_threads = 1}).value();
    const auto got = model->logits(batch.view());
    return std::vector<float>(got.begin(), got.end());
  };
  const std::vector<float> expected = logits();
  JsonObject json = small_json(true, true);
  json["scale_decoder_outputs"] = false;
  ASSERT_TRUE(write_file_atomic(scratch / "config.json", dump_json(json)));
  EXPECT_EQ(logits(), expected);
  json.erase("scale_decoder_outputs");
  ASSERT_TRUE(write_file_atomic(scratch / "config.json", dump_json(json)));
  EXPECT_THAT(Checkpoint::open(scratch.path()).error().message, HasSubstr("lm_head.weight"));
}

TEST(T5, ConfigurationComesBackFromItsOwnJson) {
  const Json json = small_config(true, false).to_json();
  EXPECT_EQ(dump_json(ModelConfig::from_json(json).value().to_json()), dump_json(json));
  EXPECT_EQ(json.at("d_model"), Json(kD));
  EXPECT_EQ(json.as_object().find("hidden_size"), json.as_object().end());
}

}  // namespace
}  // namespace volant
