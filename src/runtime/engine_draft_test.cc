// Speculative decoding: whoever guesses and however wrong, answers are those without guesses, in fewer steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "runtime/engine.h"
#include "support/random_adapter.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

// Greedy, drawn and penalised answers to prompts that repeat themselves and to one that does not.
std::vector<GenerateRequest> requests_of(const Engine& engine) {
  const char* prompts[] = {
      "Once upon a time there was a little girl named Lily. She liked her red ball. Once upon a time there was "
      "a little girl named",
      "One day, Tim and Sue went to the park. Tim said hello. Sue said hello. Tim said hello. Sue said",
      "The cat"};
  std::vector<GenerateRequest> requests;
  for (const char* prompt : prompts) {
    GenerateRequest request;
    request.prompt = engine.tokenizer().encode(prompt);
    request.max_tokens = 60;
    request.ignore_stop_ids = true;
    request.logprobs = 1;
    request.sampling = {.temperature = 0};
    requests.push_back(request);
    request.sampling = {.temperature = 0.4, .top_p = 0.9, .seed = 5};
    requests.push_back(request);
    request.sampling = {.temperature = 0, .presence_penalty = 0.3, .repetition_penalty = 1.1};
    requests.push_back(request);
  }
  return requests;
}

std::vector<std::vector<int32_t>> answers(Engine& engine, const std::vector<GenerateRequest>& requests) {
  std::vector<std::promise<std::vector<int32_t>>> done(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(engine.submit(requests[i], {},
                              [&done, i](const GenerateResult& result) { done[i].set_value(result.ids); }));
  }
  std::vector<std::vector<int32_t>> all;
  for (auto& each : done) all.push_back(each.get_future().get());
  return all;
}

TEST(EngineDraft, GuessesFromTheTextSaveStepsAndChangeNoAnswer) {
  for (const char* name : {"stories260K", "stories15M", "minimind2-small"}) {
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(model, std::string("models/") + name);
    const auto plain = Engine::open(model, {.n_threads = 1, .guess_from_text = false}).value();
    const std::vector<GenerateRequest> requests = requests_of(*plain);
    const auto expected = answers(*plain, requests);
    EXPECT_EQ(plain->stats().guessed_tokens, 0U);
    for (const int n_slots : {1, 4}) {
      const auto guessing = Engine::open(model, {.n_threads = 1, .n_slots = n_slots}).value();
      EXPECT_EQ(answers(*guessing, requests), expected);
      const EngineStats stats = guessing->stats();
      EXPECT_GT(stats.right_guesses, 3U);
      // Each step of one slot gives one token more than it had right guesses.
      if (n_slots == 1) {
        EXPECT_LE(stats.steps, stats.completion_tokens - stats.right_guesses + 9);
      }
    }
  }
}

TEST(EngineDraft, ADraftModelThatIsTheModelItselfGuessesNearlyAll) {
  VOLANT_DATA_OR_SKIP(model, "models/stories15M");
  const auto plain = Engine::open(model, {.n_threads = 1, .n_slots = 3, .guess_from_text = false}).value();
  std::vector<GenerateRequest> requests = requests_of(*plain);
  std::erase_if(requests, [](const GenerateRequest& r) {
    return r.sampling.temperature > 0 || r.sampling.repetition_penalty != 1;
  });
  const auto expected = answers(*plain, requests);
  const auto drafted =
      Engine::open(model, {.n_threads = 1, .n_slots = 3, .guess_from_text = false, .draft = model}).value();
  EXPECT_EQ(answers(*drafted, requests), expected);
  const EngineStats stats = drafted->stats();
  EXPECT_GT(stats.right_guesses, stats.guessed_tokens * 95 / 100);
  EXPECT_LT(stats.steps, plain->stats().steps / 4);
}

TEST(EngineDraft, ADraftModelThatIsOftenWrongChangesNoAnswer) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::ScratchDir scratch;
  const ModelConfig config = Checkpoint::open(model).value().config();
  const Adapter adapter = testing::random_adapter(config, AdapterSpec::Kind::kLora, 3);
  testing::write_merged_model(model, adapter, scratch / "other");
  const auto plain = Engine::open(model, {.n_threads = 1, .n_slots = 3, .guess_from_text = false}).value();
  const std::vector<GenerateRequest> requests = requests_of(*plain);
  const auto expected = answers(*plain, requests);
  const auto drafted =
      Engine::open(model, {.n_threads = 1, .n_slots = 3, .draft = scratch / "other"}).value();
  EXPECT_EQ(answers(*drafted, requests), expected);
  EXPECT_GT(drafted->stats().right_guesses, 0U);
  EXPECT_GT(drafted->stats().guessed_tokens, drafted->stats().right_guesses);
}

TEST(EngineDraft, ADraftModelWithAnotherVocabularyIsRefused) {
  VOLANT_DATA_OR_SKIP(model, "models/stories15M");
  VOLANT_DATA_OR_SKIP(other, "models/stories260K");
  const auto engine = Engine::open(model, {.draft = other});
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().to_string(), HasSubstr("expected 32000 tokens, got 512"));
}

}  // namespace
}  // namespace volant
