// All kernels of an instruction set whose vector type is S, as a table.
#pragma once
#include "kernels/simd/attention.h"
#include "kernels/simd/matmul.h"
#include "kernels/simd/matmul_blocks.h"
#include "kernels/simd/rows.h"

namespace volant::simd {

template <class S>
constexpr MatmulTable make_matmuls() {
  MatmulTable table;
  table[DType::kF32] = matmul_f32<S>;
  table[DType::kF16] = matmul_f16<S>;
  table[DType::kBF16] = matmul_bf16<S>;
  table[DType::kQ8_0] = matmul_blocks<S, DType::kQ8_0>;
  table[DType::kQ4_0] = matmul_blocks<S, DType::kQ4_0>;
  table[DType::kQ4_1] = matmul_blocks<S, DType::kQ4_1>;
  table[DType::kQ5_0] = matmul_blocks<S, DType::kQ5_0>;
  table[DType::kQ5_1] = matmul_blocks<S, DType::kQ5_1>;
  table[DType::kQ2_K] = matmul_blocks<S, DType::kQ2_K>;
  table[DType::kQ3_K] = matmul_blocks<S, DType::kQ3_K>;
  table[DType::kQ4_K] = matmul_blocks<S, DType::kQ4_K>;
  table[DType::kQ5_K] = matmul_blocks<S, DType::kQ5_K>;
  table[DType::kQ6_K] = matmul_blocks<S, DType::kQ6_K>;
  table[DType::kIQ4_NL] = matmul_blocks<S, DType::kIQ4_NL>;
  table[DType::kIQ2_XXS] = matmul_blocks<S, DType::kIQ2_XXS>;
  return table;
}

template <class S>
constexpr Kernels make_table(const char* name) {
  return {
      .name = name,
      .matmul = make_matmuls<S>(),
      .matmul_shifted = matmul_shifted<S>,
      .to_bf16 = generic::to_bf16,
      .quantize_q8 = quantize_q8<S>,
      .rms_norm = rms_norm<S>,
      .layer_norm = layer_norm<S>,
      .silu_mul = silu_mul<S>,
      .gelu_mul = gelu_mul<S>,
      .softcap = softcap<S>,
      .scale = scale<S>,
      .add = add<S>,
      .rope = rope<S>,
      .attention = attention<S>,
      .argmax = argmax<S>,
      .max = max<S>,
      .exp_sum = exp_sum<S>,
  };
}

}  // namespace volant::simd
