// All kernels of an instruction set whose vector type is S, as a table.
#pragma once
#include "kernels/simd/attention.h"
#include "kernels/simd/matmul.h"
#include "kernels/simd/matmul_q8.h"
#include "kernels/simd/rows.h"

namespace volant::simd {

template <class S>
constexpr Kernels make_table(const char* name) {
  return {
      .name = name,
      .matmul_f32 = matmul_f32<S>,
      .matmul_f16 = matmul_f16<S>,
      .matmul_bf16 = matmul_bf16<S>,
      .matmul_q8_0 = matmul_q8_0<S>,
      .to_bf16 = generic::to_bf16,
      .quantize_q8 = quantize_q8<S>,
      .rms_norm = rms_norm<S>,
      .silu_mul = silu_mul<S>,
      .add = add<S>,
      .rope = rope<S>,
      .attention = attention<S>,
      .argmax = argmax<S>,
      .max = max<S>,
      .exp_sum = exp_sum<S>,
  };
}

}  // namespace volant::simd
