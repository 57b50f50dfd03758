#include "infer/guess_bench.h"

#include <fmt/core.h>

#include <algorithm>

#include "runtime/engine.h"

namespace volant {
namespace {

struct Way {
  const char* name;
  EngineOptions options;
  std::vector<double> rates = {};  // tokens/s of the answer, the prompt's time left out
  EngineStats stats = {};
  std::vector<int32_t> ids = {};
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Result<GenerateRequest> request_of(const GuessBench& bench, const Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = tokenizer.encode(TRY(read_file(bench.text)));
  const auto n = static_cast<size_t>(bench.prompt);
  if (ids.size() < n)
    return fail(ErrorCode::kInvalidArgument, "expected a text of at least {} tokens, got {}", n, ids.size())
        .at(bench.text.string());
  GenerateRequest request;
  request.prompt.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n));
  request.prompt.insert(request.prompt.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n / 4));
  request.max_tokens = bench.generate;
  request.sampling.temperature = 0;
  request.ignore_stop_ids = true;
  return request;
}

Status measure(Way& way, const GuessBench& bench) {
  const auto engine = TRY(Engine::open(bench.model, way.options));
  const GenerateRequest request = TRY(request_of(bench, engine->tokenizer()));
  const GenerateResult result = TRY(engine->generate(request));
  way.rates.push_back(static_cast<double>(result.completion_tokens) / result.decode_seconds);
  way.stats = engine->stats();
  way.ids = result.ids;
  return {};
}

}  // namespace

Result<JsonArray> measure_guesses(const GuessBench& bench) {
  EngineOptions plain;
  plain.n_threads = bench.n_threads;
  plain.n_slots = 1;
  plain.kv_dtype = DType::kF16;
  plain.guess_from_text = false;
  std::vector<Way> ways{{"plain", plain}, {"from text", plain}};
  ways[1].options.guess_from_text = true;
  if (bench.draft) {
    ways.push_back({"draft model", plain});
    ways.back().options.draft = bench.draft;
  }
  for (int i = 0; i < bench.repeat; ++i)
    for (Way& way : ways) TRY(measure(way, bench));
  JsonArray rows;
  fmt::print("{:<14} {:>10} {:>8} {:>8} {:>8} {:>8}\n", "guesses", "tokens/s", "ratio", "steps", "guessed",
             "right");
  for (const Way& way : ways) {
    if (way.ids != ways[0].ids) return fail(ErrorCode::kInternal, "'{}' changed the answer", way.name);
    const double rate = median(way.rates), ratio = rate / median(ways[0].rates);
    fmt::print("{:<14} {:>10.1f} {:>8.2f} {:>8} {:>8} {:>8}\n", way.name, rate, ratio, way.stats.steps,
               way.stats.guessed_tokens, way.stats.right_guesses);
    rows.push_back({{"guesses", way.name},
                    {"tokens_per_second", rate},
                    {"ratio", ratio},
                    {"steps", way.stats.steps},
                    {"guessed_tokens", way.stats.guessed_tokens},
                    {"right_guesses", way.stats.right_guesses}});
  }
  return rows;
}

}  // namespace volant
