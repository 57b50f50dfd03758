// Pages of keys and values under the engine: texts that begin alike, memory that runs out, long prompts
// beside answers. Whatever happens to its pages, an answer is the one that it would have been alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "runtime/engine.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kPageOf260K = uint64_t{5} * 4 * (64 * 8 + 64 * 16) * 4;  // layers, heads, keys and values

std::vector<int32_t> some_ids(int n, int seed) {
  std::vector<int32_t> ids{1};
  for (int i = 1; i < n; ++i) ids.push_back(3 + (i * 7 + seed * 31 + i * i % (seed + 5)) % 500);
  return ids;
}

GenerateRequest request_of(std::vector<int32_t> prompt, int max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.ignore_stop_ids = true;
  return request;
}

// The answers of an engine that has nothing else to do and nothing kept.
std::vector<std::vector<int32_t>> answers_alone(const Path& model,
                                                const std::vector<GenerateRequest>& requests,
                                                const EngineOptions& options) {
  std::vector<std::vector<int32_t>> answers;
  answers.reserve(requests.size());
  for (const GenerateRequest& request : requests) {
    const EngineOptions alone{.n_threads = 1, .n_slots = 1, .kv_dtype = options.kv_dtype};
    answers.push_back(Engine::open(model, alone).value()->generate(request).value().ids);
  }
  return answers;
}

// All at once: nothing is begun before everything waits.
std::vector<std::vector<int32_t>> answers_together(Engine& engine,
                                                   const std::vector<GenerateRequest>& requests) {
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  GenerateRequest first = request_of({1, 5}, 1);
  std::promise<void> first_done;
  EXPECT_TRUE(engine.submit(
      first,
      [gate](const GenerateEvent&) {
        gate.wait();
        return true;
      },
      [&](const GenerateResult&) { first_done.set_value(); }));
  std::vector<std::promise<std::vector<int32_t>>> done(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(engine.submit(requests[i], {},
                              [&done, i](const GenerateResult& result) { done[i].set_value(result.ids); }));
  }
  go_on.set_value();
  first_done.get_future().wait();
  std::vector<std::vector<int32_t>> answers;
  answers.reserve(done.size());
  for (auto& each : done) answers.push_back(each.get_future().get());
  return answers;
}

// What is held is counted once more before the engine sleeps.
int64_t pages_held_at_rest(const Engine& engine) {
  for (int i = 0; i < 200 && engine.stats().kv_pages_held > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return engine.stats().kv_pages_held;
}

TEST(EnginePages, PromptsThatBeginAlikeAreReadOnceAndAnsweredAsAlone) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  for (const DType kv : {DType::kF32, DType::kF16, DType::kQ8_0}) {
    SCOPED_TRACE(dtype_info(kv).name);
    const EngineOptions options{.n_threads = 1, .n_slots = 4, .kv_dtype = kv};
    std::vector<GenerateRequest> requests;
    for (int i = 0; i < 4; ++i) {
      std::vector<int32_t> prompt = some_ids(200, 1);
      const std::vector<int32_t> own = some_ids(20 + 13 * i, 2 + i);
      prompt.insert(prompt.end(), own.begin() + 1, own.end());
      requests.push_back(request_of(std::move(prompt), 30));
    }
    requests.back().sampling = {.temperature = 1, .seed = 11};
    const auto expected = answers_alone(model, requests, options);
    const auto engine = Engine::open(model, options).value();
    EXPECT_EQ(answers_together(*engine, requests), expected);
    // The three later ones found the three full pages; the rest of the last one was being read at once.
    EXPECT_GE(engine->stats().shared_tokens, 3U * 192);
    const uint64_t shared = engine->stats().shared_tokens;
    EXPECT_EQ(answers_together(*engine, requests), expected);
    for (const GenerateRequest& request : requests) EXPECT_GT(request.prompt.size(), 200U);
    EXPECT_GE(engine->stats().shared_tokens - shared, 4U * 200);  // copies of unfinished pages too
    EXPECT_EQ(pages_held_at_rest(*engine), 0);
  }
}

TEST(EnginePages, WhenPagesRunOutTheYoungestWaitsAndAnswersTheSame) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const EngineOptions options{.n_threads = 1, .n_slots = 4, .kv_bytes = 8 * kPageOf260K};
  std::vector<GenerateRequest> requests;
  requests.reserve(5);
  for (int i = 0; i < 5; ++i) requests.push_back(request_of(some_ids(50 + 17 * i, i), 150));
  requests[1].sampling = requests[3].sampling = {.temperature = 1, .top_p = 0.95, .seed = 3};
  const auto expected = answers_alone(model, requests, options);
  const auto engine = Engine::open(model, options).value();
  EXPECT_EQ(engine->stats().kv_pages, 8);
  EXPECT_EQ(answers_together(*engine, requests), expected);
  EXPECT_GT(engine->stats().preemptions, 0U);
  EXPECT_EQ(pages_held_at_rest(*engine), 0);
  // A text that needs every page is read beside them too.
  const std::vector<int32_t> longest = some_ids(512, 9);
  const std::vector<float> alone = engine->logits(longest).value();
  auto later = std::async(std::launch::async, [&] { return answers_together(*engine, requests); });
  EXPECT_EQ(engine->logits(longest).value(), alone);
  EXPECT_EQ(later.get(), expected);
}

TEST(EnginePages, CancelledAndEndedAnswersHoldNoPages) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine = Engine::open(model, {.n_threads = 1, .n_slots = 2}).value();
  int events = 0;
  const GenerateResult result =
      engine->generate(request_of(some_ids(100, 1), 300), [&](const GenerateEvent&) { return ++events < 5; })
          .value();
  EXPECT_EQ(result.finish, FinishReason::kCancelled);
  EXPECT_EQ(pages_held_at_rest(*engine), 0);
}

TEST(EnginePages, MemoryThatCannotHoldOneRequestIsRefusedWithWhatIsNeeded) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto small = Engine::open(model, {.kv_bytes = 7 * kPageOf260K});
  ASSERT_FALSE(small);
  EXPECT_THAT(small.error().message, HasSubstr("hold 448 tokens, one request may have 512"));
  EXPECT_TRUE(Engine::open(model, {.n_ctx = 448, .kv_bytes = 7 * kPageOf260K}));
  const auto odd = Engine::open(model, {.kv_dtype = DType::kQ4_0});
  ASSERT_FALSE(odd);
  EXPECT_THAT(odd.error().message, HasSubstr("not as q4_0"));
}

uint64_t resident_bytes() {
  uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(EnginePages, KeptTextsTakeNoMoreMemoryThanIsGiven) {
  VOLANT_DATA_OR_SKIP(model, "models/stories15M");
  constexpr uint64_t kPageBytes = uint64_t{6} * 6 * 64 * 48 * 2 * 4;  // 885 KB
  const auto engine = Engine::open(model, {.n_threads = 1, .n_slots = 1, .kv_bytes = 8 * kPageBytes}).value();
  ASSERT_TRUE(engine->generate(request_of(some_ids(250, 0), 1)));
  const uint64_t before = resident_bytes();
  for (int i = 1; i < 25; ++i) ASSERT_TRUE(engine->generate(request_of(some_ids(250, i), 1)));
  EXPECT_LT(resident_bytes() - before, 8 * kPageBytes);  // and not the 85 MB of all texts
}

// In steps, not in time: each step gives the answers that are written one token, and at most 32 tokens of the
// prompt are read in it.
TEST(EnginePages, ALongPromptDoesNotStallTheAnswersBesideIt) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine =
      Engine::open(model, {.n_threads = 1, .n_slots = 2, .guess_from_text = false, .max_prompt_rows = 32})
          .value();
  std::atomic<int> written{0};
  int before = -1, after = -1;  // tokens of the first answer when the prompt was given, and when it was read
  std::promise<GenerateResult> first, second;
  const auto long_prompt = [&](const GenerateEvent&) {
    if (++written == 10) {
      before = written;
      EXPECT_TRUE(engine->submit(
          request_of(some_ids(400, 1), 3),
          [&](const GenerateEvent&) {
            if (after < 0) after = written;
            return true;
          },
          [&](const GenerateResult& result) { second.set_value(result); }));
    }
    return true;
  };
  ASSERT_TRUE(engine->submit(request_of(some_ids(5, 2), 200), long_prompt,
                             [&](const GenerateResult& result) { first.set_value(result); }));
  EXPECT_EQ(second.get_future().get().ids.size(), 3U);
  EXPECT_EQ(first.get_future().get().ids.size(), 200U);
  EXPECT_GE(after - before, 400 / 32);
  EXPECT_LE(after - before, 400 / 32 + 2);
}

// The steps that `prompts` take beside an answer that is being written, given all at once: of each prompt,
// how many tokens that answer had more when the prompt's first token came.
std::vector<int> steps_beside_an_answer(Engine& engine, const std::vector<std::vector<int32_t>>& prompts) {
  int written = 0, before = 0;
  std::vector<int> steps(prompts.size());
  std::vector<std::promise<void>> done(prompts.size() + 1);
  const auto on_event = [&](const GenerateEvent&) {
    if (++written != 10) return true;
    before = written;
    for (size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_TRUE(engine.submit(
          request_of(prompts[i], 1),
          [&, i](const GenerateEvent&) {
            steps[i] = written - before;
            return true;
          },
          [&, i](const GenerateResult&) { done[i].set_value(); }));
    }
    return true;
  };
  EXPECT_TRUE(engine.submit(request_of(some_ids(5, 2), 200), on_event,
                            [&](const GenerateResult&) { done.back().set_value(); }));
  for (auto& each : done) each.get_future().wait();
  return steps;
}

TEST(EnginePages, ManyPromptsTogetherTakeNoMoreRowsOfAStepThanOne) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine =
      Engine::open(model, {.n_threads = 1, .n_slots = 9, .guess_from_text = false, .max_prompt_rows = 32})
          .value();
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < 8; ++i) {
    prompts.push_back(some_ids(64, 3 + i));
    prompts.back()[0] = 3 + i;  // nothing in common
  }
  std::vector<int> steps = steps_beside_an_answer(*engine, prompts);
  std::ranges::sort(steps);
  EXPECT_GE(steps.back(), 8 * 64 / 32);
  EXPECT_LE(steps.back(), 8 * 64 / 32 + 2);
  EXPECT_LE(steps.front(), 64 / 16 + 2);  // one after the other: the first is answered early
}

TEST(EnginePages, AShortPromptPassesALongOneWhichStillGetsHalfOfTheRows) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine =
      Engine::open(model, {.n_threads = 1, .n_slots = 8, .guess_from_text = false, .max_prompt_rows = 32})
          .value();
  std::vector<std::vector<int32_t>> prompts{some_ids(400, 1)};
  for (int i = 0; i < 6; ++i) {
    prompts.push_back(some_ids(80, 3 + i));
    prompts.back()[0] = 3 + i;
  }
  const std::vector<int> steps = steps_beside_an_answer(*engine, prompts);
  EXPECT_LE(*std::ranges::min_element(steps), 80 / 16 + 2);
  EXPECT_LE(steps.front(), 400 / 16 + 2);
}

// Smaller numbers move the losses a little, and on the whole not at all.
TEST(EnginePages, SmallerKeysAndValuesKeepTheLosses) {
  VOLANT_DATA_OR_SKIP(golden, "golden/minimind2-small");
  VOLANT_DATA_OR_SKIP(model, "models/minimind2-small");
  const auto exact = Engine::open(model, {.n_threads = 1}).value();
  const Json json = parse_json(read_file(golden / "logits.json").value()).value();
  struct Bound {
    DType type;
    double mean, worst;
  };
  for (const auto& [type, mean_bound, worst_bound] :
       {Bound{DType::kF16, 2e-4, 0.03}, Bound{DType::kQ8_0, 5e-3, 0.5}}) {
    SCOPED_TRACE(dtype_info(type).name);
    const auto smaller = Engine::open(model, {.n_threads = 1, .kv_dtype = type}).value();
    double sum = 0, worst = 0;
    int64_t n = 0;
    for (const Json& test : json.at("cases").as_array()) {
      std::vector<int32_t> ids;
      for (const Json& id : test.at("ids").as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
      const Score a = exact->score(ids).value(), b = smaller->score(ids).value();
      for (size_t i = 0; i < a.nll.size(); ++i, ++n) {
        const auto each = static_cast<double>(b.nll[i] - a.nll[i]);
        sum += each;
        worst = std::max(worst, std::abs(each));
      }
    }
    EXPECT_LT(std::abs(sum / static_cast<double>(n)), mean_bound);
    EXPECT_LT(worst, worst_bound);
    EXPECT_GT(worst, worst_bound / 100);  // it is another storage
  }
}

}  // namespace
}  // namespace volant
