// Which tables exist, which of them the processor can run, and which one is in use.
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/tables.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace volant {
namespace {

std::vector<const Kernels*> find_host_kernels() {
  std::vector<const Kernels*> tables{&generic_kernels()};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    tables.push_back(&avx2_kernels());
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni")) {
    tables.push_back(&avx512_kernels());
    if (__builtin_cpu_supports("avx512bf16")) tables.push_back(&avx512bf16_kernels());
  }
#elif defined(__aarch64__)
  tables.push_back(&neon_kernels());  // a part of every 64-bit ARM processor that runs Linux
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) tables.push_back(&neondotprod_kernels());
#endif
  return tables;
}

const std::vector<const Kernels*>& all_host_kernels() {
  static const std::vector<const Kernels*> tables = find_host_kernels();
  return tables;
}

const Kernels* find_by_name(std::string_view name) {
  for (const Kernels* table : all_host_kernels()) {
    if (name == table->name) return table;
  }
  return nullptr;
}

const Kernels* choose() {
  const char* wanted = std::getenv("VOLANT_ISA");  // NOLINT(concurrency-mt-unsafe): read once
  const Kernels* table = wanted == nullptr ? nullptr : find_by_name(wanted);
  return table != nullptr ? table : all_host_kernels().back();
}

std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> table{choose()};
  return table;
}

}  // namespace

const Kernels& kernels() { return *current().load(std::memory_order_relaxed); }

std::span<const Kernels* const> host_kernels() { return all_host_kernels(); }

Status force_kernels(std::string_view name) {
  const Kernels* table = find_by_name(name);
  if (table == nullptr) {
    std::string known;
    for (const Kernels* each : all_host_kernels())
      known += (known.empty() ? "" : ", ") + std::string(each->name);
    return fail(ErrorCode::kInvalidArgument, "no kernels '{}' on this processor, known are: {}", name, known);
  }
  current().store(table, std::memory_order_relaxed);
  return {};
}

}  // namespace volant
