// The table of each instruction set. Private to this room: everybody else calls kernels().
#pragma once
#include "kernels/kernels.h"

namespace volant {
const Kernels& generic_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();      // F, BW, VL, DQ, VNNI
const Kernels& avx512bf16_kernels();  // the same with BF16 products
}  // namespace volant
#if defined(__aarch64__)
namespace volant {
const Kernels& neon_kernels();
const Kernels& neondotprod_kernels();  // with SDOT
}  // namespace volant
#endif
