// How fast the native model reads prompts and writes tokens: medians over repeats, as a table and as JSON.
//   bench_infer MODEL [--dtype f32|q8_0|q4_K|...] [--kv f32|f16|q8_0] [--threads N] [--isa NAME] [--prompt N]
//               [--generate N] [--depth N] [--repeat N] [--streams N] [--json FILE]
// Tokens are written after --depth positions (the prompt's, when that is not given).
//   bench_infer MODEL --text FILE [--draft MODEL] ...: speculative decoding on a text that is quoted
//   (guess_bench.h)
// Beside each decode figure stands the bound: a plain read of all weights in their place, after each repeat.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "infer/guess_bench.h"
#include "kernels/kernels.h"
#include "models/instances/native.h"
#include "plain_read.h"
#include "runtime/engine.h"

namespace volant {
namespace {

struct Arguments {
  std::string model, dtype, kv, isa, json, text, draft;
  int threads = 0, prompt = 128, generate = 128, depth = -1, repeat = 5, streams = 1;
};

Result<Arguments> read_arguments(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (!name.starts_with("--")) {
      a.model = name;
      continue;
    }
    if (i + 1 == argc) return fail(ErrorCode::kInvalidArgument, "{} needs a value", name);
    const std::string value = argv[++i];
    if (name == "--dtype")
      a.dtype = value;
    else if (name == "--kv")
      a.kv = value;
    else if (name == "--isa")
      a.isa = value;
    else if (name == "--json")
      a.json = value;
    else if (name == "--text")
      a.text = value;
    else if (name == "--draft")
      a.draft = value;
    else if (name == "--threads")
      a.threads = std::stoi(value);
    else if (name == "--prompt")
      a.prompt = std::stoi(value);
    else if (name == "--generate")
      a.generate = std::stoi(value);
    else if (name == "--depth")
      a.depth = std::stoi(value);
    else if (name == "--repeat")
      a.repeat = std::stoi(value);
    else if (name == "--streams")
      a.streams = std::stoi(value);
    else
      return fail(ErrorCode::kInvalidArgument, "unknown option {}", name);
  }
  if (a.model.empty()) return fail(ErrorCode::kInvalidArgument, "expected the path of a model");
  if (a.depth < 0) a.depth = a.prompt;
  if (a.depth > a.prompt) return fail(ErrorCode::kInvalidArgument, "--depth is at most --prompt");
  return a;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Plain reads of the weights where they lie, after each repeat: memory may be fast or slow by the page and by
// the minute.
class PlainRead {
 public:
  explicit PlainRead(const NativeModel& model) : pool_(model.n_threads()), memory_(model.weight_memory()) {
    for (const auto& weight : memory_) bytes_ += weight.size();
  }
  // The best of a few.
  double gb_per_second() {
    const ThreadPool::Busy busy(pool_);
    double least = INFINITY;
    for (int i = 0; i < 4; ++i) {
      const double begin = steady_seconds();
      read_plainly(pool_, memory_, bytes_);
      least = std::min(least, steady_seconds() - begin);
    }
    return static_cast<double>(bytes_) / least * 1e-9;
  }

 private:
  ThreadPool pool_;
  std::vector<std::span<const std::byte>> memory_;
  size_t bytes_ = 0;
};

// One pass: `n_rows` new tokens of each of `streams` slots from position `pos`;
// logits of each stream's last row.
void pass(NativeModel& model, int streams, int pos, int n_rows) {
  std::vector<int32_t> tokens, positions, begins{0}, slots, outs;
  const auto n_vocab = static_cast<int32_t>(model.config().vocab_size);
  for (int s = 0; s < streams; ++s) {
    for (int i = 0; i < n_rows; ++i) {
      tokens.push_back((7 + 31 * (pos + i) + s) % n_vocab);
      positions.push_back(pos + i);
    }
    begins.push_back(static_cast<int32_t>(tokens.size()));
    slots.push_back(s);
    outs.push_back(static_cast<int32_t>(tokens.size()) - 1);
  }
  model.logits({.tokens = tokens, .pos = positions, .seq_begin = begins, .kv_slot = slots, .out_rows = outs});
}

// In pieces of as many rows as the engine reads at once.
void read_prompt(NativeModel& model, int streams, int prompt, int rows) {
  const int piece = std::max(1, rows / streams);
  for (int pos = 0; pos < prompt; pos += piece) pass(model, streams, pos, std::min(piece, prompt - pos));
}

struct Rates {
  double prefill = 0, decode = 0;  // tokens/s of all streams
  double read = 0;                 // GB/s, plainly
};

Rates measure(NativeModel& model, const Arguments& a, int prompt_rows) {
  std::vector<double> prefill, decode, read;
  PlainRead plain(model);
  for (int repeat = 0; repeat <= a.repeat; ++repeat) {
    const double begin = steady_seconds();
    read_prompt(model, a.streams, a.prompt, prompt_rows);
    const double between = steady_seconds();
    for (int i = 0; i < a.generate; ++i) pass(model, a.streams, a.depth + i, 1);
    const double end = steady_seconds();
    if (repeat == 0) continue;  // warms caches and buffers
    prefill.push_back(a.streams * a.prompt / (between - begin));
    decode.push_back(a.streams * a.generate / (end - between));
    read.push_back(plain.gb_per_second());
  }
  return {median(prefill), median(decode), median(read)};
}

Status run(const Arguments& a) {
  if (!a.isa.empty()) TRY(force_kernels(a.isa));
  if (!a.text.empty()) {
    GuessBench bench{.model = a.model,
                     .text = a.text,
                     .n_threads = a.threads,
                     .prompt = a.prompt,
                     .generate = a.generate,
                     .repeat = a.repeat};
    if (!a.draft.empty()) bench.draft = a.draft;
    const JsonArray rows = TRY(measure_guesses(bench));
    return a.json.empty() ? Status() : write_file_atomic(a.json, dump_json_pretty(rows));
  }
  const Checkpoint checkpoint = TRY(Checkpoint::open(a.model));
  NativeOptions options{.n_threads = a.threads, .n_slot = a.streams, .n_ctx = a.prompt + a.generate};
  if (!a.dtype.empty()) options.dtype = TRY(dtype_from_name(a.dtype));
  if (!a.kv.empty()) options.kv_dtype = TRY(dtype_from_name(a.kv));
  const double load_begin = steady_seconds();
  const std::unique_ptr<NativeModel> model = TRY(NativeModel::load(checkpoint, options));
  const double load_seconds = steady_seconds() - load_begin;
  model->set_busy(true);
  const Rates rates = measure(*model, a, default_prompt_rows(checkpoint));
  model->set_busy(false);
  const double bandwidth = rates.read;
  const double megabytes = static_cast<double>(model->weight_bytes()) * 1e-6;
  const double bound = bandwidth * 1e3 / megabytes * a.streams;
  const std::string dtype = a.dtype.empty() ? checkpoint.dtype_name() : a.dtype;
  fmt::print("{:<28} {:>6} {:>12} {:>8} {:>8} {:>12} {:>12} {:>12} {:>8} {:>8}\n", "model", "dtype", "isa",
             "threads", "MB", "prefill t/s", "decode t/s", "bound t/s", "GB/s", "of bound");
  fmt::print("{:<28} {:>6} {:>12} {:>8} {:>8.1f} {:>12.0f} {:>12.1f} {:>12.0f} {:>8.1f} {:>8.3f}\n",
             Path(a.model).filename().string(), dtype, kernels().name, model->n_threads(), megabytes,
             rates.prefill, rates.decode, bound, bandwidth, rates.decode / bound);
  if (a.json.empty()) return {};
  return write_file_atomic(a.json, dump_json_pretty({{"model", a.model},
                                                     {"dtype", dtype},
                                                     {"isa", kernels().name},
                                                     {"threads", model->n_threads()},
                                                     {"streams", a.streams},
                                                     {"prompt", a.prompt},
                                                     {"generate", a.generate},
                                                     {"depth", a.depth},
                                                     {"load_seconds", load_seconds},
                                                     {"weight_bytes", model->weight_bytes()},
                                                     {"prefill_tokens_per_second", rates.prefill},
                                                     {"decode_tokens_per_second", rates.decode},
                                                     {"read_gb_per_second", bandwidth},
                                                     {"decode_bound_tokens_per_second", bound}}));
}

}  // namespace
}  // namespace volant

int main(int argc, char** argv) {
  const auto arguments = volant::read_arguments(argc, argv);
  const volant::Status status = arguments ? volant::run(*arguments) : volant::Status(arguments.error());
  if (status) return 0;
  fmt::print(stderr, "bench_infer: {}\n", status.error().to_string());
  return 2;
}
