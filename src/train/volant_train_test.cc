// The real program, started as a child: a whole run, stopped, killed with SIGKILL and started again.
#include <gtest/gtest.h>

#include "data/job_words.h"
#include "io/safetensors.h"
#include "models/adapter.h"
#include "train/optimizer.h"
#include "train/test_stories.h"
#include "train/train_state.h"

namespace volant {
namespace {

class VolantTrain : public testing::StoryRuns {};

TEST_F(VolantTrain, TrainsFromScratchAndLeavesAModelFolder) {
  const Path run = make_run("run", job());
  EXPECT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  const auto all = events(run);
  EXPECT_EQ(json_string(all.front(), "type").value(), "start");
  EXPECT_EQ(json_string(all.back(), "status").value(), "finished");
  double first = 0, last = 0;
  for (const Json& event : all) {
    if (json_string(event, "type").value() != "step") continue;
    last = json_number(event, "loss").value();
    if (first == 0) first = last;
    for (const char* key : {"grad_norm", "tokens_per_second", "mfu", "data_wait", "rss_mb", "seconds"})
      EXPECT_GT(json_number(event, key).value(), 0) << key;
  }
  EXPECT_NEAR(first, std::log(512.0), 0.3);
  EXPECT_LT(last, 2.5);
  const Checkpoint model = Checkpoint::open(run / "model").value();
  EXPECT_EQ(model.config().vocab_size, 512);
  EXPECT_EQ(model.tokenizer().value()->n_vocab(), 512);
  EXPECT_TRUE(model.has_chat_template());
  EXPECT_FALSE(model.stop_ids().empty());
  EXPECT_EQ(finish(run).status, 0) << "a finished run has nothing left to do";
}

TEST_F(VolantTrain, KilledAtAnyMomentTheCurveGoesOnBitForBit) {
  JsonObject both_cores = job();
  both_cores["n_threads"] = 2;
  both_cores["steps"] = 30;
  both_cores["evaluate_every"] = 10;
  runs_.expect_exact_resume(both_cores, {4, 12, 25});
}

TEST_F(VolantTrain, SaysWhatItWillDoAndRefusesWhatDoesNotFit) {
  JsonObject sft = job();
  sft["max_memory_gb"] = 0.01;
  const Path large = make_run("large", sft);
  EXPECT_NE(finish(large).status, 0);
  const std::string words = read_file(large / "stderr.txt").value();
  EXPECT_NE(words.find("trains  "), std::string::npos) << words;
  EXPECT_NE(words.find("⟦"), std::string::npos) << "what is learned is marked";
  EXPECT_NE(words.find("this run needs about"), std::string::npos) << words;
  EXPECT_FALSE(std::filesystem::exists(large / "events.jsonl"));
  const Path planned = make_run("planned", job());
  ProcessOptions options;
  options.arguments = {(program_dir() / "volant-train").string(), "--plan", "--job",
                       (planned / "job.json").string()};
  options.stderr_file = planned / "stderr.txt";
  EXPECT_EQ(Process::start(options).value().wait().value().status, 0);
  EXPECT_FALSE(std::filesystem::exists(planned / "events.jsonl"));
}

TEST_F(VolantTrain, ChoosesASizeForTheBudgetAndReportsWhatItExpected) {
  JsonObject automatic = job();
  automatic["model"] = JsonObject{{"size", "auto"}};
  automatic["budget_seconds"] = 6;
  automatic.erase("steps");
  const Path run = make_run("auto", automatic);
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  const Json choice = parse_json(read_file(run / "size.json").value()).value();
  EXPECT_GT(json_int(choice, "steps").value(), 0);
  const auto all = events(run);
  EXPECT_EQ(json_number(all.back(), "predicted_loss").value(), json_number(choice, "predicted_loss").value());
  EXPECT_GT(json_number(all.back(), "best_loss").value(), 0);
  EXPECT_EQ(Checkpoint::open(run / "model").value().config().hidden_size,
            json_int(*json_find(choice, "model_config"), "hidden_size").value());
}

// Losses of the steps.
std::vector<double> losses(const std::vector<Json>& events) {
  std::vector<double> all;
  for (const Json& event : events)
    if (json_string(event, "type").value() == "step") all.push_back(json_number(event, "loss").value());
  return all;
}
double mean_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

// 200 steps on Shakespeare's plays: what rounding the factors of products to bf16 changes is a small part of
// what another order of the same text does.
TEST_F(VolantTrain, InBf16TheLossCurveIsThatOfF32) {
  VOLANT_DATA_OR_SKIP(plays, "datasets/tinyshakespeare/input.txt");
  const std::string text = read_file(plays).value();
  const auto tokenizer = load_tokenizer(tokenizer_).value();
  std::vector<std::vector<int32_t>> documents;
  for (size_t begin = 0; begin < 200'000; begin += 2'000)
    documents.push_back(tokenizer->encode(std::string_view(text).substr(begin, 2'000)));
  ASSERT_TRUE(write_token_shard(scratch_ / "plays", documents, 512));
  JsonObject plays_job = job();
  plays_job["data"] = JsonObject{{"train_shard", (scratch_ / "plays").string()}};
  plays_job["steps"] = 200;
  plays_job["max_seq_len"] = 64;
  plays_job["evaluate_every"] = plays_job["checkpoint_every"] = 0;
  const auto curve = [&](const char* name, const char* dtype, int seed) {
    plays_job["dtype"] = dtype;
    plays_job["seed"] = seed;
    const Path run = make_run(name, plays_job);
    EXPECT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
    return losses(events(run));
  };
  const std::vector<double> f32 = curve("f32", "f32", 1), bf16 = curve("bf16", "bf16", 1);
  ASSERT_EQ(f32.size(), 200U);
  EXPECT_LT(f32.back(), 0.8 * f32.front());
  const double noise = mean_difference(bf16, f32), order = mean_difference(curve("other", "f32", 2), f32);
  EXPECT_LT(noise, 0.03 * order);  // measured: 0.016
}

TEST_F(VolantTrain, KilledBeforeTheFirstStepItStartsAgain) {
  JsonObject tuned = job();
  tuned["model"] = JsonObject{{"init_from", tokenizer_.string()}};  // it is measured before its first step
  tuned["steps"] = 6;
  runs_.expect_exact_resume(tuned, {2});
}

TEST_F(VolantTrain, EveryOptimizerAndAverageGoesOnBitForBit) {
  for (const std::string& name : job_words("optimizer")) {
    SCOPED_TRACE(name);
    JsonObject some = job();
    some["optimizer"] = name;
    some["lr"] = 1e-3;
    some["steps"] = 16;
    some["evaluate_every"] = 4;
    some["checkpoint_every"] = 4;
    some["schedule"] = name == "sgd" ? "plateau" : "one_cycle";
    some["label_smoothing"] = 0.05;
    some["z_loss"] = 1e-4;
    some["neftune_alpha"] = 3;
    if (name == "lion") {
      some["average_last"] = 2;
      some["finish_with"] = "average";
    } else {
      some["ema_decay"] = 0.9;
    }
    const testing::TrainRuns runs;
    runs.expect_exact_resume(some, {10});
  }
}

TEST_F(VolantTrain, SigtermSavesACheckpointAndGoesOnLater) {
  const Path whole = make_run("whole", job()), stopped = make_run("stopped", job());
  ASSERT_EQ(finish(whole).status, 0);
  Process process = start(stopped);
  testing::TrainRuns::signal_after(process, stopped, 13, SIGTERM);
  ASSERT_EQ(process.wait().value().status, 130);
  const auto all = events(stopped);
  EXPECT_EQ(json_string(all.back(), "status").value(), "stopped");
  ASSERT_EQ(finish(stopped).status, 0);
  EXPECT_EQ(read_file(stopped / "model/model.safetensors").value(),
            read_file(whole / "model/model.safetensors").value());
}

TEST_F(VolantTrain, FineTunesAHuggingFaceFolderOnAnswers) {
  JsonObject sft = job();
  sft["objective"] = "sft";
  sft["model"] = JsonObject{{"init_from", tokenizer_.string()}};
  ASSERT_TRUE(write_file_atomic(
      scratch_ / "rows.jsonl",
      R"({"messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "I am a cat."}], "weight": 2})"
      "\n"
      R"({"text": "Once upon a time there was a cat."})"
      "\n"));
  sft["data"] = JsonObject{{"train_rows", (scratch_ / "rows.jsonl").string()},
                           {"validation_rows", (scratch_ / "rows.jsonl").string()}};
  sft["max_seq_len"] = 128;
  sft["lr"] = 1e-3;
  const Path run = make_run("sft", sft);
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  std::vector<double> losses;
  for (const Json& event : events(run))
    if (json_string(event, "type").value() == "eval") losses.push_back(json_number(event, "loss").value());
  ASSERT_GE(losses.size(), 2U);
  EXPECT_LT(losses.back(), 0.2 * losses.front() + 0.1);
  EXPECT_EQ(Checkpoint::open(run / "model").value().config().hidden_size, 64);
}

TEST_F(VolantTrain, ContinuedPretrainingBeginsWithTheWeightsOfTheFolder) {
  JsonObject more = job();
  more["model"] = JsonObject{{"init_from", tokenizer_.string()}};
  more["steps"] = 20;
  more["lr"] = 1e-3;
  const Path run = make_run("more", more);
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  std::vector<double> losses;
  for (const Json& event : events(run))
    if (json_string(event, "type").value() == "eval") losses.push_back(json_number(event, "loss").value());
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_LT(losses.front(), 4.0) << "a model that knows stories, not a random one (6.2)";
  EXPECT_LT(losses.back(), 0.8 * losses.front());
}

TEST_F(VolantTrain, EarlyStoppingKeepsTheBestWeights) {
  JsonObject overfit = job();
  overfit["data"].as_object()["validation_shard"] = (scratch_ / "other").string();
  ASSERT_TRUE(
      write_token_shard(scratch_ / "other", {{1, 300, 301, 302, 303, 304, 305, 306, 307, 308, 309}}, 512));
  overfit["evaluate_every"] = 4;
  overfit["patience"] = 2;
  const Path run = make_run("early", overfit);
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  const auto all = events(run);
  EXPECT_LT(json_int(all.back(), "step").value(), 60);
  double best = 1e9;
  for (const Json& event : all)
    if (json_string(event, "type").value() == "eval")
      best = std::min(best, json_number(event, "loss").value());
  EXPECT_LT(best, 1e9);
}

TEST_F(VolantTrain, ACheckpointOfAnAdapterHoldsNothingOfItsBase) {
  JsonObject lora = job();
  lora["model"] = JsonObject{{"init_from", tokenizer_.string()}};
  lora["adapter"] = JsonObject{{"kind", "dora"}, {"r", 2}, {"target_modules", {"q_proj", "up_proj"}}};
  lora["steps"] = 4;
  const Path run = make_run("run", lora);
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  const ModelConfig config = Checkpoint::open(run / "model").value().config();
  EXPECT_EQ(read_adapter(run / "adapter", config).value().base_model, tokenizer_.string());
  const SafetensorsFile last = SafetensorsFile::open(TrainFiles{run}.last()).value();
  EXPECT_GT(last.tensors().size(), 0U);
  for (const auto& [tensor, entry] : last.tensors())
    EXPECT_NE(tensor.find("lora_"), std::string::npos) << tensor;
}

TEST_F(VolantTrain, FrozenTensorsAreThoseOfTheStart) {
  JsonObject frozen = job();
  frozen["model"] = JsonObject{{"init_from", tokenizer_.string()}};
  frozen["freeze"] = JsonArray{"model.embed_tokens", "layers.0-2"};
  frozen["steps"] = 10;
  const Path run = make_run("frozen", frozen);
  ASSERT_EQ(finish(run).status, 0) << read_file(run / "stderr.txt").value_or("");
  const Checkpoint before = Checkpoint::open(tokenizer_).value(),
                   after = Checkpoint::open(run / "model").value();
  const auto same = [&](const std::string& name) {
    return to_f32(before.tensor(name).value()) == to_f32(after.tensor(name).value());
  };
  EXPECT_TRUE(same("model.embed_tokens.weight"));
  EXPECT_TRUE(same("model.layers.2.mlp.up_proj.weight"));
  EXPECT_FALSE(same("model.layers.3.mlp.up_proj.weight"));
  EXPECT_FALSE(same("model.norm.weight"));
}

TEST_F(VolantTrain, BadInputEndsWithAMessageAndNoModel) {
  const auto message = [&](const std::string& name, const JsonObject& broken, const char* words) {
    const Path run = make_run(name, broken);
    EXPECT_NE(finish(run).status, 0) << name;
    const std::string text = read_file(run / "stderr.txt").value_or("");
    EXPECT_NE(text.find(words), std::string::npos) << name << ": " << text;
    EXPECT_FALSE(std::filesystem::exists(run / "model"));
  };
  JsonObject broken = job();
  broken["stepps"] = 3;
  message("key", broken, "did you mean 'steps'");
  broken = job();
  broken["tokenizer"] = "/nowhere";
  message("tokenizer", broken, "/nowhere");
  broken = job();
  broken["data"].as_object()["train_shard"] = "/nowhere/train";
  message("shard", broken, "/nowhere/train");
  broken = job();
  broken["lr"] = 10;
  broken["grad_clip"] = 0;
  broken["warmup_steps"] = 0;
  broken["eps"] = 1e-20;
  broken["model"].as_object()["config"].as_object()["initializer_range"] = 1e18;
  message("nan", broken, "no longer a number");
  broken = job();
  broken["model"].as_object()["config"].as_object()["num_attention_heads"] = 5;
  message("heads", broken, "config");
}

TEST_F(VolantTrain, ADamagedOrForeignCheckpointIsAnError) {
  JsonObject shorter = job();
  shorter["steps"] = 10;
  const Path run = make_run("run", shorter);
  ASSERT_EQ(finish(run).status, 0);
  std::filesystem::remove_all(run / "model");
  ASSERT_TRUE(write_file_atomic(run / "job.json", dump_json(job())));
  EXPECT_NE(finish(run).status, 0);
  EXPECT_NE(read_file(run / "stderr.txt").value().find("belongs to another job"), std::string::npos);

  ASSERT_TRUE(write_file_atomic(run / "job.json", dump_json(shorter)));
  const Path file = TrainFiles{run}.last();
  const std::string whole = read_file(file).value();
  for (const size_t n : {size_t{0}, size_t{7}, size_t{200}, whole.size() / 2, whole.size() - 1}) {
    ASSERT_TRUE(write_file_atomic(file, whole.substr(0, n)));
    const ProcessExit exit = finish(run);
    EXPECT_GT(exit.status, 0) << n << " bytes";
    EXPECT_EQ(exit.signal, 0) << n << " bytes";
  }
  ASSERT_TRUE(write_file_atomic(file, whole));
  EXPECT_EQ(finish(run).status, 0);
}

TEST(MadeData, AreMadeAnewForAnotherJobUntilTheRunHasBegun) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  const auto made_with_operands_to = [&](int64_t max) {
    const Path run = runs.make(
        "run", {{"objective", "sft"},
                {"model", JsonObject{{"init_from", model.string()}}},
                {"data", JsonObject{{"toy_arithmetic",
                                     JsonObject{{"max", max}, {"n_train", 8}, {"n_validation", 2}}}}},
                {"max_seq_len", 64},
                {"steps", 1}});
    ProcessOptions plan;
    plan.arguments = {(program_dir() / "volant-train").string(), "--job", (run / "job.json").string(),
                      "--plan"};
    EXPECT_EQ(Process::start(plan).value().wait().value().status, 0);
    return read_file(run / "toy_train.jsonl").value();
  };
  const std::string small = made_with_operands_to(3);
  EXPECT_NE(made_with_operands_to(9), small);
  EXPECT_EQ(made_with_operands_to(3), small);
  ASSERT_TRUE(write_file_atomic(runs.folder() / "run/events.jsonl", ""));
  EXPECT_EQ(made_with_operands_to(9), small);
}

}  // namespace
}  // namespace volant
