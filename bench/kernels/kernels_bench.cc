// Arithmetic and bandwidth of single kernels on one thread, beside oneDNN on the same thread: GFLOP/s (a
// multiply and an add are two) and GB/s of weights, medians.
//   bench_kernels [n_rows n_in n_out]
#include <fmt/core.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <dnnl.hpp>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/pack.h"

namespace volant {
namespace {

// Processor time of this thread: what others do on the machine counts less than on the wall clock.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Run>
double median_seconds(const Run& run) {
  run();
  std::vector<double> times;
  const double end = thread_seconds() + 0.3;
  while (times.size() < 5 || thread_seconds() < end) {
    const double begin = thread_seconds();
    run();
    times.push_back(thread_seconds() - begin);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

struct Shape {
  int64_t n_rows, n_in, n_out;
};

void report(const char* what, const char* dtype, const Shape& s, double seconds, double weight_bytes) {
  const double flops = 2.0 * static_cast<double>(s.n_rows * s.n_in * s.n_out);
  fmt::print("{:<14} {:<6} {:>5} x {:>5} -> {:>6} {:>10.1f} us {:>9.1f} GFLOP/s {:>8.1f} GB/s\n", what, dtype,
             s.n_rows, s.n_in, s.n_out, seconds * 1e6, flops / seconds * 1e-9, weight_bytes / seconds * 1e-9);
}

void measure_ours(const Kernels& k, DType dtype, const Shape& s) {
  const size_t bytes = packed_bytes(dtype, s.n_out, s.n_in);
  std::vector<std::byte> packed(bytes + 64), x(static_cast<size_t>(s.n_rows * s.n_in) * 4 + 64);
  std::vector<uint16_t> scales(packed_scale_bytes(dtype, s.n_out, s.n_in) / 2 + 1, 0x2000);
  std::vector<float> x_scales(static_cast<size_t>(s.n_rows * s.n_in / kQ8Block) + 1, 0.01F);
  std::vector<int32_t> x_sums(x_scales.size());
  std::vector<float> y(static_cast<size_t>(s.n_rows * s.n_out));
  const auto aligned = [](std::vector<std::byte>& v) {
    return v.data() + (64 - reinterpret_cast<uintptr_t>(v.data()) % 64) % 64;
  };
  const MatmulArgs args{.x = aligned(x),
                        .x_scales = x_scales.data(),
                        .x_sums = x_sums.data(),
                        .x_stride = s.n_in,
                        .n_rows = s.n_rows,
                        .w = aligned(packed),
                        .w_scales = scales.data(),
                        .n_in = s.n_in,
                        .n_out = s.n_out,
                        .panel_begin = 0,
                        .panel_end = panel_count(s.n_out),
                        .y = y.data(),
                        .y_stride = s.n_out};
  const auto matmul = dtype == DType::kF32    ? k.matmul_f32
                      : dtype == DType::kF16  ? k.matmul_f16
                      : dtype == DType::kBF16 ? k.matmul_bf16
                                              : k.matmul_q8_0;
  report(k.name, dtype_info(dtype).name, s, median_seconds([&] { matmul(args); }),
         static_cast<double>(bytes));
}

void measure_dnnl(dnnl::memory::data_type type, const char* name, const Shape& s) {
  using dnnl::memory;
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const memory::desc x({s.n_rows, s.n_in}, type, memory::format_tag::ab);
  const memory::desc any({s.n_in, s.n_out}, type, memory::format_tag::any);
  const memory::desc y({s.n_rows, s.n_out}, memory::data_type::f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(x, any, y), engine);
  memory mx(x, engine), mw(pd.weights_desc(), engine), my(y, engine);
  dnnl::matmul primitive(pd);
  const double seconds = median_seconds([&] {
    primitive.execute(stream, {{DNNL_ARG_SRC, mx}, {DNNL_ARG_WEIGHTS, mw}, {DNNL_ARG_DST, my}});
    stream.wait();
  });
  report("onednn", name, s, seconds, static_cast<double>(pd.weights_desc().get_size()));
}

}  // namespace
}  // namespace volant

int main(int argc, char** argv) {
  using namespace volant;
  omp_set_num_threads(1);
  std::vector<Shape> shapes{
      {1, 288, 32000}, {1, 768, 2048}, {8, 768, 2048}, {256, 288, 768}, {256, 768, 2048}};
  if (argc == 4) shapes = {{std::stol(argv[1]), std::stol(argv[2]), std::stol(argv[3])}};
  for (const Shape& s : shapes) {
    for (const Kernels* k : host_kernels()) {
      if (k->name == std::string("generic")) continue;
      for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0})
        measure_ours(*k, dtype, s);
    }
    measure_dnnl(dnnl::memory::data_type::f32, "f32", s);
    measure_dnnl(dnnl::memory::data_type::bf16, "bf16", s);
    fmt::print("\n");
  }
  return 0;
}
