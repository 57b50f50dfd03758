#include "eval/suites/ask.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/stop.h"
#include "eval/suites/prompts.h"

namespace volant {
namespace {

constexpr size_t kMaxInFlight = 16;
constexpr double kChoiceBias = 100;  // lifts the letters above every other token, and their order stays

Result<std::vector<int32_t>> encode(const Engine& engine, const std::string& text, bool chat) {
  if (chat) return engine.encode_chat({JsonObject{{"role", "user"}, {"content", text}}});
  return engine.tokenizer().encode(text, {.add_special = true, .parse_special = false});
}

std::vector<int32_t> letter_ids(const Tokenizer& tokenizer, size_t choice, bool chat) {
  // Behind "Answer:" a letter follows with its blank; a chat answer begins with it.
  const std::string letter(1, static_cast<char>('A' + choice));
  if (chat) return tokenizer.encode(letter, {.add_special = false, .parse_special = false});
  const EncodeOptions plain{.add_special = false, .parse_special = false};
  const std::vector<int32_t> before = tokenizer.encode("Answer:", plain);
  std::vector<int32_t> with = tokenizer.encode("Answer: " + letter, plain);
  const size_t common = static_cast<size_t>(std::ranges::mismatch(before, with).in2 - with.begin());
  with.erase(with.begin(), with.begin() + static_cast<ptrdiff_t>(common));
  return with;
}

Result<int32_t> by_score(Engine& engine, const Prompt& prompt,
                         const std::vector<std::vector<int32_t>>& letters) {
  int32_t best = 0;
  double least = 0;
  for (size_t c = 0; c < letters.size(); ++c) {
    std::vector<int32_t> ids = prompt.ids;
    ids.insert(ids.end(), letters[c].begin(), letters[c].end());
    const Score score = TRY(engine.score(ids));
    double nll = 0;
    for (size_t i = prompt.ids.size() - 1; i < score.nll.size(); ++i)
      nll += static_cast<double>(score.nll[i]);
    if (c > 0 && nll >= least) continue;
    least = nll;
    best = static_cast<int32_t>(c);
  }
  return best;
}

}  // namespace

Result<Prompt> prompt_of(const Engine& engine, const Suite& suite, const SuiteRow& row, size_t shots,
                         bool chat, size_t reserve) {
  const auto n_ctx = static_cast<size_t>(engine.n_ctx());
  const size_t room = n_ctx > reserve + 1 ? n_ctx - reserve - 1 : 1;
  auto found = suite.examples.find(row.group);
  if (found == suite.examples.end()) found = suite.examples.find("");
  std::span<const SuiteRow> examples;
  if (found != suite.examples.end()) examples = found->second;
  examples = examples.first(std::min(shots, examples.size()));
  Prompt prompt;
  while (true) {
    prompt.ids = TRY(encode(engine, suite_prompt(suite, row, examples, chat), chat));
    if (prompt.ids.size() <= room || examples.empty()) break;
    examples = examples.first(examples.size() - 1);
    prompt.cut = true;
  }
  if (prompt.ids.size() > room) {
    prompt.cut = true;
    prompt.ids.erase(prompt.ids.begin(), prompt.ids.end() - static_cast<ptrdiff_t>(room));
  }
  return prompt;
}

Result<int32_t> most_likely_choice(Engine& engine, const Prompt& prompt, size_t n_choices, bool chat) {
  std::vector<std::vector<int32_t>> letters;
  for (size_t c = 0; c < n_choices; ++c) letters.push_back(letter_ids(engine.tokenizer(), c, chat));
  GenerateRequest request{.prompt = prompt.ids, .max_tokens = 1};
  request.sampling.temperature = 0;
  request.ignore_stop_ids = true;
  for (const std::vector<int32_t>& letter : letters) {
    if (letter.size() != 1) return by_score(engine, prompt, letters);
    request.sampling.logit_bias[letter.front()] = kChoiceBias;
  }
  const GenerateResult result = TRY(engine.generate(std::move(request)));
  if (result.error) return *result.error;
  for (size_t c = 0; c < letters.size(); ++c) {
    if (!result.ids.empty() && result.ids.front() == letters[c].front()) return static_cast<int32_t>(c);
  }
  return by_score(engine, prompt, letters);
}

Result<std::vector<GenerateResult>> generate_all(Engine& engine, std::vector<GenerateRequest> requests,
                                                 const std::function<void(size_t done)>& on_done) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    size_t in_flight = 0, done = 0;
    std::optional<Error> error;
  } state;
  std::vector<GenerateResult> results(requests.size());
  std::unique_lock lock(state.mutex);
  for (size_t i = 0; i < requests.size() && !state.error && !stop_requested(); ++i) {
    state.changed.wait(lock, [&] { return state.in_flight < kMaxInFlight; });
    if (on_done) on_done(state.done);
    ++state.in_flight;
    lock.unlock();
    const Result<uint64_t> submitted =
        engine.submit(std::move(requests[i]), {}, [&state, &results, i](const GenerateResult& result) {
          const std::lock_guard guard(state.mutex);
          results[i] = result;
          if (result.error && !state.error) state.error = result.error;
          --state.in_flight;
          ++state.done;
          state.changed.notify_one();
        });
    lock.lock();
    if (submitted) continue;
    --state.in_flight;
    state.error = submitted.error();
  }
  state.changed.wait(lock, [&] { return state.in_flight == 0; });
  if (state.error) return *state.error;
  if (stop_requested())
    return fail(ErrorCode::kCancelled, "stopped after {} of {} rows", state.done, requests.size());
  if (on_done) on_done(state.done);
  return results;
}

}  // namespace volant
