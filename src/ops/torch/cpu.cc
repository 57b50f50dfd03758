// Which kernels this processor runs, and on how many threads.
#include <ATen/Parallel.h>
#include <cpuid.h>
#include <omp.h>
#include <sched.h>

#include <cstdlib>
#include <string_view>

#include "ops/torch/kernels.h"
#include "ops/torch/tensor.h"

namespace volant::torch_ops {
namespace {

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd");
}

bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }

// Leaf 7 of cpuid, bit 22 of edx; compilers differ in their word for it.
bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1U) != 0;
}

const Kernels& choose() {
  const char* named = std::getenv("VOLANT_TRAIN_ISA");
  const std::string_view wish = named != nullptr ? named : "";
  if (wish == "generic") return generic::kTable;
  if (has_avx512_bf16() && wish != "avx512" && wish != "avx2") return avx512_bf16::kTable;
  if (has_avx512() && wish != "avx2") return avx512::kTable;
  return has_avx2() ? avx2::kTable : generic::kTable;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

void set_thread_count(int threads) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (threads <= 0) threads = ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  at::set_num_threads(
      threads);  // OpenMP's too; without it libtorch sets its own default at its first operation
}
int thread_count() { return omp_get_max_threads(); }

bool has_bf16() { return has_avx512_bf16(); }
bool multiplies_pairs() { return kernels().pair_product != nullptr && !has_amx_bf16(); }

}  // namespace volant::torch_ops
