// Products with every type of weights, beside what the machine gives: GB/s of weights with one row (decode)
// against a plain read of the same memory, GOP/s with many rows (prefill; a multiply and an add are two)
// against oneDNN's large int8 and bf16 products.
//   bench_kernels [--isa NAME] [--threads N] [--rows N] [--rounds N] [--json FILE]
// "in cache" is decode on one thread with weights that stay in the second level cache, in processor time:
// what the arithmetic would allow if memory were free. Rounds go over all cases in turns; a figure is the
// best round, and in brackets the median. Wall clock: on a machine with other work look at the best.
#include <fmt/core.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <dnnl.hpp>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"
#include "ops/native/memory.h"
#include "plain_read.h"

namespace volant {
namespace {

constexpr size_t kDecodeBytes = size_t{192} << 20;  // well over any cache
constexpr int64_t kIn = 2048, kPrefillOut = 1024;
constexpr size_t kCachedBytes = size_t{384} << 10;
constexpr int kCachedRuns = 64;

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0,   DType::kQ4_0,
                            DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ2_K,   DType::kQ3_K,
                            DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ2_XXS};

struct Options {
  std::string isa, json;
  int threads = 0, rounds = 7;
  int64_t rows = 256;
};

// One thing to measure: `amount` (bytes or operations) each run.
struct Case {
  std::string group, name;
  double amount;
  std::function<void()> run;
  bool processor_time = false;  // of this thread
  std::vector<double> seconds = {};

  double best() const { return amount / *std::min_element(seconds.begin(), seconds.end()) * 1e-9; }
  double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return amount / sorted[sorted.size() / 2] * 1e-9;
  }
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void measure(std::vector<Case>& cases, int rounds) {
  for (int round = 0; round < rounds + 1; ++round) {
    for (Case& each : cases) {
      const auto clock = each.processor_time ? thread_seconds : now;
      const double begin = clock();
      each.run();
      if (round > 0) each.seconds.push_back(clock() - begin);  // the first one warms up
    }
  }
}

// Memory for the largest case; every case takes its part. Bytes that make small finite scales.
struct Memory {
  Memory() { std::memset(pages.data(), 0x20, pages.bytes()); }
  std::byte* data() { return pages.data(); }
  Pages pages{kDecodeBytes + kDecodeBytes / 2 + 64, true};
};

struct Input {
  explicit Input(int64_t rows)
      : numbers(static_cast<size_t>(rows * kIn) + 16, 0.01F),
        scales(static_cast<size_t>(rows * kIn / kQ8Block), 0.01F),
        sums(static_cast<size_t>(rows * kIn / kSumBlock), 1) {}
  std::vector<float> numbers, scales;
  std::vector<int32_t> sums;
};

// A product of `rows` rows with weights that lie in `memory`, over all threads.
struct Product {
  const Kernels* kernels;
  DType dtype;
  MatmulArgs args;
  std::vector<float> y;

  Product(const Kernels& k, DType type, int64_t rows, int64_t n_out, Memory& memory, const Input& input)
      : kernels(&k), dtype(type), y(static_cast<size_t>(rows * n_out)) {
    args = {.x = input.numbers.data(),
            .x_scales = input.scales.data(),
            .x_sums = input.sums.data(),
            .x_stride = kIn,
            .n_rows = rows,
            .w = memory.data(),
            .w_scales = memory.data() + (packed_bytes(type, n_out, kIn) + 63) / 64 * 64,
            .n_in = kIn,
            .n_out = n_out,
            .panel_begin = 0,
            .panel_end = panel_count(n_out),
            .y = y.data(),
            .y_stride = n_out};
  }
  void run(ThreadPool& pool) const {
    pool.parallel_for((args.panel_end + 3) / 4, 1, [&](int64_t begin, int64_t end) {
      MatmulArgs part = args;
      part.panel_begin = 4 * begin;
      part.panel_end = std::min(4 * end, args.panel_end);
      kernels->matmul[dtype](part);
    });
  }
};

double bytes_of(DType dtype, int64_t n_out) {
  return static_cast<double>(packed_bytes(dtype, n_out, kIn) + packed_scale_bytes(dtype, n_out, kIn));
}

int64_t outputs_in(size_t bytes, DType dtype) {
  return std::max<int64_t>(
      64, static_cast<int64_t>(static_cast<double>(bytes) / bytes_of(dtype, 4096) * 4096) / 64 * 64);
}

void add_products(const Options& options, ThreadPool& pool, Memory& memory, const Input& input,
                  std::vector<Case>& cases) {
  for (const Kernels* k : host_kernels()) {
    if (options.isa.empty() ? k != &kernels() : options.isa != k->name) continue;
    for (const DType dtype : kTypes) {
      const int64_t n_out = outputs_in(kDecodeBytes, dtype), n_cached = outputs_in(kCachedBytes, dtype);
      const auto decode = std::make_shared<Product>(*k, dtype, 1, n_out, memory, input);
      cases.push_back({fmt::format("{} decode", k->name), dtype_info(dtype).name, bytes_of(dtype, n_out),
                       [decode, &pool] { decode->run(pool); }});
      const auto cached = std::make_shared<Product>(*k, dtype, 1, n_cached, memory, input);
      cases.push_back({fmt::format("{} in cache", k->name), dtype_info(dtype).name,
                       kCachedRuns * bytes_of(dtype, n_cached),
                       [cached, k, dtype] {
                         for (int run = 0; run < kCachedRuns; ++run) k->matmul[dtype](cached->args);
                       },
                       true});
      const auto prefill = std::make_shared<Product>(*k, dtype, options.rows, kPrefillOut, memory, input);
      cases.push_back({fmt::format("{} prefill", k->name), dtype_info(dtype).name,
                       2.0 * static_cast<double>(options.rows * kIn * kPrefillOut),
                       [prefill, &pool] { prefill->run(pool); }});
    }
  }
}

// oneDNN's product of large square matrices, on all threads.
std::function<void()> dnnl_product(dnnl::memory::data_type x_type, dnnl::memory::data_type w_type,
                                   dnnl::memory::data_type y_type, int64_t n) {
  using dnnl::memory;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const memory::desc x({n, n}, x_type, memory::format_tag::ab), any({n, n}, w_type, memory::format_tag::any),
      y({n, n}, y_type, memory::format_tag::ab);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc pd(engine, x, any, y);
#else
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(x, any, y), engine);
#endif
  const memory mx(x, engine), mw(pd.weights_desc(), engine), my(y, engine);
  return [primitive = dnnl::matmul(pd), stream = dnnl::stream(engine), mx, mw, my]() mutable {
    primitive.execute(stream, {{DNNL_ARG_SRC, mx}, {DNNL_ARG_WEIGHTS, mw}, {DNNL_ARG_DST, my}});
    stream.wait();
  };
}

void add_limits(ThreadPool& pool, Memory& memory, std::vector<Case>& cases) {
  cases.push_back({"limit", "read", static_cast<double>(kDecodeBytes),
                   [&pool, &memory] { read_plainly(pool, memory.data(), kDecodeBytes); }});
  using Type = dnnl::memory::data_type;
  const int64_t n = 1536;
  const double operations = 2.0 * static_cast<double>(n * n * n);
  cases.push_back({"limit", "onednn int8", operations, dnnl_product(Type::u8, Type::s8, Type::s32, n)});
  cases.push_back({"limit", "onednn bf16", operations, dnnl_product(Type::bf16, Type::bf16, Type::f32, n)});
  cases.push_back({"limit", "onednn f32", operations, dnnl_product(Type::f32, Type::f32, Type::f32, n)});
}

constexpr std::string_view kBytesUnit = "GB/s";
std::string unit_of(const Case& each) {
  const bool bytes =
      each.group.ends_with("decode") || each.group.ends_with("in cache") || each.name == "read";
  return bytes ? std::string(kBytesUnit) : "GOP/s";
}

double limit_of(const std::vector<Case>& cases, const Case& each) {
  const bool decode = unit_of(each) == kBytesUnit;
  const char* name = decode                                     ? "read"
                     : each.name == "bf16"                      ? "onednn bf16"
                     : each.name == "f32" || each.name == "f16" ? "onednn f32"
                                                                : "onednn int8";
  for (const Case& limit : cases) {
    if (limit.group == "limit" && limit.name == name) return limit.best();
  }
  return 0;
}

void print(const std::vector<Case>& cases) {
  std::string group;
  std::vector<const Case*> sorted;
  for (const Case& each : cases) sorted.push_back(&each);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Case* a, const Case* b) { return a->group < b->group; });
  for (const Case* each : sorted) {
    if (group != each->group) fmt::print("\n{}\n", group = each->group);

    fmt::print("  {:<12} {:>8.1f} ({:>8.1f}) {}", each->name, each->best(), each->median(), unit_of(*each));
    if (each->group != "limit") fmt::print("  {:>4.0f} %", 100 * each->best() / limit_of(cases, *each));
    fmt::print("\n");
  }
}

void write_json(const std::vector<Case>& cases, const std::string& path) {
  JsonArray rows;
  for (const Case& each : cases) {
    rows.push_back(JsonObject{{"group", each.group},
                              {"name", each.name},
                              {"best", each.best()},
                              {"median", each.median()},
                              {"unit", unit_of(each)}});
  }
  std::ofstream(path) << dump_json_pretty(Json(rows));
}

}  // namespace
}  // namespace volant

int main(int argc, char** argv) {
  using namespace volant;
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i];
    if (word == "--isa") options.isa = argv[i + 1];
    if (word == "--json") options.json = argv[i + 1];
    if (word == "--threads") options.threads = std::stoi(argv[i + 1]);
    if (word == "--rounds") options.rounds = std::stoi(argv[i + 1]);
    if (word == "--rows") options.rows = std::stol(argv[i + 1]);
  }
  ThreadPool pool(options.threads);
  omp_set_num_threads(pool.size());
  Memory memory;
  const Input input(std::max<int64_t>(1, options.rows));
  std::vector<Case> cases;
  add_limits(pool, memory, cases);
  add_products(options, pool, memory, input, cases);
  measure(cases, options.rounds);
  fmt::print("{} threads; best round, in brackets the median; share of the limit\n", pool.size());
  print(cases);
  if (!options.json.empty()) write_json(cases, options.json);
  return 0;
}
