#if defined(__aarch64__)
#include "kernels/neon/simd.h"
#include "kernels/simd/table.h"
#include "kernels/tables.h"

namespace volant {
const Kernels& neondotprod_kernels() {
  static constexpr Kernels kTable = simd::make_table<neon::Simd<true>>("neondotprod");
  return kTable;
}
}  // namespace volant
#endif
