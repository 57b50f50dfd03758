#if defined(__aarch64__)
#include "kernels/simd/table.h"

#include "kernels/neon/simd.h"
#include "kernels/tables.h"

namespace volant {
const Kernels& neon_kernels() {
  static constexpr Kernels kTable = simd::make_table<neon::Simd<false>>("neon");
  return kTable;
}
}  // namespace volant
#endif
