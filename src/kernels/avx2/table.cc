#if defined(__x86_64__)
#include "kernels/simd/table.h"

#include "kernels/avx2/simd.h"
#include "kernels/tables.h"

namespace volant {
const Kernels& avx2_kernels() {
  static constexpr Kernels kTable = simd::make_table<avx2::Simd>("avx2");
  return kTable;
}
}  // namespace volant
#endif
