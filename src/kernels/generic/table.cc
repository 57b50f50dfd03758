#include "kernels/generic/generic.h"
#include "kernels/tables.h"

namespace volant {

const Kernels& generic_kernels() {
  static const Kernels kTable{
      .name = "generic",
      .matmul = generic::matmuls(),
      .matmul_shifted = generic::matmul_shifted,
      .to_bf16 = generic::to_bf16,
      .quantize_q8 = generic::quantize_q8,
      .rms_norm = generic::rms_norm,
      .layer_norm = generic::layer_norm,
      .silu_mul = generic::silu_mul,
      .gelu_mul = generic::gelu_mul,
      .softcap = generic::softcap,
      .scale = generic::scale,
      .add = generic::add,
      .rope = generic::rope,
      .attention = generic::attention,
      .argmax = generic::argmax,
      .max = generic::max,
      .exp_sum = generic::exp_sum,
  };
  return kTable;
}

}  // namespace volant
