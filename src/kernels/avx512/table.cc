#if defined(__x86_64__)
#include "kernels/simd/table.h"

#include "kernels/avx512/simd.h"
#include "kernels/tables.h"

namespace volant {
const Kernels& avx512_kernels() {
  static constexpr Kernels kTable = simd::make_table<avx512::Simd<false>>("avx512");
  return kTable;
}
}  // namespace volant
#endif
