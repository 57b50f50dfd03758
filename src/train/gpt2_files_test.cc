// A folder as openai-community/gpt2 is on the hub: tensors without "transformer.", the masks of old files,
// the keys of its config.json, a vocabulary in vocab.json and merges.txt and no word on special tokens. Made
// from the golden checkpoint; loaded, fine-tuned, saved, loaded again, asked to go on.
#include <gtest/gtest.h>

#include "data/token_shard.h"
#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "support/golden_logits.h"
#include "support/test_data.h"
#include "support/token_rows.h"
#include "text/tokenizer.h"
#include "train/test_run.h"

namespace volant {
namespace {

using testing::TokenRows;

void write_files_of_the_hub(const Path& golden, const Path& folder) {
  const SafetensorsFile file = SafetensorsFile::open(golden).value();
  std::map<std::string, SafetensorsEntry> tensors;
  for (const auto& [name, entry] : file.tensors())
    tensors[name.starts_with("transformer.") ? name.substr(12) : name] = entry;
  const std::vector<std::byte> mask(4 * 128 * 128);
  for (const char* layer : {"h.0", "h.1"})
    tensors[layer + std::string(".attn.bias")] = {"F32", {1, 1, 128, 128}, mask};
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}}));
  ASSERT_TRUE(write_file_atomic(folder / "config.json", R"({
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
    "bos_token_id": 511, "embd_pdrop": 0.1, "eos_token_id": 511, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 128, "n_embd": 64, "n_head": 4, "n_layer": 2,
    "n_positions": 128, "resid_pdrop": 0.1, "summary_activation": null, "summary_first_dropout": 0.1,
    "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 512})"));
  ASSERT_TRUE(write_file_atomic(folder / "tokenizer_config.json", R"({"model_max_length": 128})"));
  for (const char* name : {"vocab.json", "merges.txt"}) ASSERT_TRUE(copy_all(golden / name, folder / name));
}

std::vector<float> logits_of(NativeModel& model, const std::vector<int32_t>& ids) {
  TokenRows rows;
  rows.add(ids, TokenRows::Read::kAll);
  const auto logits = model.output(rows.view());
  return {logits.begin(), logits.end()};
}

std::unique_ptr<NativeModel> open_model(const Path& folder) {
  return NativeModel::load(Checkpoint::open(folder).value(), {.n_threads = 1}).value();
}

double mean_nll(NativeModel& model, const std::vector<int32_t>& ids) {
  const std::vector<float> logits = logits_of(model, ids);
  const size_t V = logits.size() / ids.size();
  double sum = 0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) sum += testing::nll({logits.data() + t * V, V}, ids[t + 1]);
  return sum / static_cast<double>(ids.size() - 1);
}

TEST(Gpt2OfTheHub, IsLoadedFineTunedSavedAndGoesOnWithWhatItLearned) {
  VOLANT_DATA_OR_SKIP(golden_folder, "models/tiny-gpt2");
  const testing::TrainRuns runs;
  const Path hub = runs.folder() / "gpt2", golden = *golden_folder_root / "golden/tiny-gpt2";
  write_files_of_the_hub(golden_folder, hub);

  const auto before = open_model(hub);
  const Json json = parse_json(read_file(golden / "golden.json").value()).value();
  const std::vector<float> logits = logits_of(*before, testing::ids_of(json.at("ids"))),
                           expected = testing::read_npy(golden / "logits.npy");
  ASSERT_EQ(logits.size(), expected.size());
  for (size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 1e-4) << i;

  const auto tokenizer = open_tokenizer(hub).value();
  EXPECT_EQ(tokenizer->eos_id(), 511);
  const std::string sentence = "The king said that the house was his.";
  std::vector<int32_t> document = tokenizer->encode(sentence);
  document.push_back(511);
  ASSERT_TRUE(
      write_token_shard(runs.folder() / "train", std::vector<std::vector<int32_t>>(40, document), 512));

  JsonObject job{{"objective", "pretrain"},
                 {"model", JsonObject{{"init_from", hub.string()}}},
                 {"data", JsonObject{{"train_shard", (runs.folder() / "train").string()}}},
                 {"max_seq_len", 64},
                 {"tokens_per_step", 256},
                 {"steps", 60},
                 {"lr", 1e-2},
                 {"n_threads", 1}};
  const Path run = runs.make("run", job);
  ASSERT_EQ(testing::TrainRuns::finish(run).status, 0) << testing::TrainRuns::errors(run);

  const auto after = open_model(run / "model");
  EXPECT_LT(mean_nll(*after, document), 0.1);
  EXPECT_GT(mean_nll(*before, document), 5);
  const auto saved = open_tokenizer(run / "model").value();
  EXPECT_EQ(saved->encode(sentence), tokenizer->encode(sentence));
  EXPECT_EQ(saved->eos_id(), 511);

  std::vector<int32_t> ids = saved->encode("The king");  // greedily, to the end of the text
  while (ids.size() < 60 && ids.back() != 511) {
    const std::vector<float> all = logits_of(*after, ids);
    const auto last = all.end() - 512;
    ids.push_back(static_cast<int32_t>(std::max_element(last, all.end()) - last));
  }
  EXPECT_EQ(saved->decode(ids), sentence);

  job["max_seq_len"] = 256;
  const Path longer = runs.make("longer", job);
  EXPECT_NE(testing::TrainRuns::finish(longer).status, 0);
  EXPECT_NE(testing::TrainRuns::errors(longer).find("positions for 128"), std::string::npos);
}

}  // namespace
}  // namespace volant
