// Shared weights of one rank of two, in this process: the other one is played by hand, in the order in which
// layers are to be gathered, and the system says which pages are there.
#include "train/shared_weights.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "base/random.h"
#include "io/free_port.h"

namespace volant {
namespace {

constexpr int64_t kLayers = 4;

ModelConfig config() {
  return ModelConfig::from_json(JsonObject{{"architectures", JsonArray{Json("LlamaForCausalLM")}},
                                           {"vocab_size", 100},
                                           {"hidden_size", 128},
                                           {"intermediate_size", 256},
                                           {"num_hidden_layers", kLayers},
                                           {"num_attention_heads", 4},
                                           {"num_key_value_heads", 4},
                                           {"max_position_embeddings", 16}})
      .value();
}

TorchModel random_model() {
  TorchModel model = TorchModel::create(config(), {}).value();
  Random random(7);
  for (const auto& p : model.parameters())
    for (float& x : p.values) x = static_cast<float>(0.1 * random.normal());
  model.weights_changed();
  return model;
}

// Bytes of whole pages within the group that are in memory.
double resident(const TorchModel& model, size_t group) {
  const std::span<float> values = model.groups()[group].values;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> there(values.size_bytes() / page);
  EXPECT_EQ(::mincore(values.data(), there.size() * page, there.data()), 0);
  size_t n = 0;
  for (const unsigned char each : there) n += each & 1U;
  return static_cast<double>(n * page);
}

Ranks meet(int rank, int port) {
  return Ranks::meet({.rank = rank,
                      .size = 2,
                      .local_rank = rank,
                      .local_size = 2,
                      .host = "127.0.0.1",
                      .port = port,
                      .agent_key = {}},
                     [](const Error& error) { ADD_FAILURE() << error.to_string(); })
      .value();
}

// Rank 1 of two: gives its parts and hears those of rank 0.
void play(Ranks& ranks, const std::vector<size_t>& order) {
  TorchModel model = random_model();
  for (const size_t group : order) {
    std::span<float> values = model.groups()[group].values;
    for (int from = 0; from < 2; ++from) {
      const auto [first, last] = stretch_of(values.size(), from, 2);
      auto copy = ranks.start_copy_from(from, values.subspan(first, last - first));
      ASSERT_TRUE(copy.wait());
    }
  }
}

TEST(SharedWeights, AreInMemoryWhileTheyAreReadAndGiveTheLossOfWholeOnes) {
  const std::vector<int32_t> tokens{1, 5, 9, 2, 7, 30}, pos{0, 1, 2, 3, 4, 5}, begin{0, 6},
      targets{5, 9, 2, 7, 30, 3};
  const std::vector<float> weights(6, 1.0F);
  const Batch batch{.tokens = tokens, .pos = pos, .seq_begin = begin, .kv_slot = {}, .out_rows = pos};
  TorchModel model = random_model();
  const double whole = model.loss(batch, targets, weights).value();

  const int port = free_port().value();
  // What is in no layer first, then the layers, the next one ahead of the one that is computed.
  std::thread other([port] {
    Ranks ranks = meet(1, port);
    play(ranks, {kLayers, 0, 1, 2, 3});
    ranks.leave({});
  });
  Ranks ranks = meet(0, port);
  {
    SharedWeights shared(model, ranks);
    const auto size = static_cast<double>(model.groups()[1].values.size_bytes());
    for (size_t layer = 0; layer < kLayers; ++layer) EXPECT_NEAR(resident(model, layer), size / 2, 8192);
    const uint64_t parts = shared.take_most_bytes();
    EXPECT_EQ(model.loss(batch, targets, weights).value(), whole);
    EXPECT_TRUE(shared.take_failure());
    for (size_t layer = 0; layer + 1 < kLayers; ++layer) EXPECT_NEAR(resident(model, layer), size / 2, 8192);
    EXPECT_NEAR(resident(model, kLayers - 1), size, 8192) << "until another is needed";
    const auto outside = static_cast<double>(model.groups()[kLayers].values.size_bytes());
    EXPECT_NEAR(static_cast<double>(shared.take_most_bytes() - parts), size + outside / 2, 4096);
    shared.drop();
    EXPECT_NEAR(resident(model, kLayers - 1), size / 2, 8192);
  }
  ranks.leave({});
  other.join();
}

TEST(StretchOf, ThePartsFollowEachOtherAndAreTheWhole) {
  for (const size_t size : {0, 16, 48, 1600}) {
    size_t at = 0;
    for (int rank = 0; rank < 3; ++rank) {
      const auto [first, last] = stretch_of(size, rank, 3);
      EXPECT_EQ(first, at);
      at = last;
    }
    EXPECT_EQ(at, size);
  }
}

}  // namespace
}  // namespace volant
