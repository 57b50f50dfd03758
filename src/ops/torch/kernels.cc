// The table of one instruction set, which VOLANT_ISA names; see kernels.h.
#include "ops/torch/kernels.h"

#include "ops/torch/kernel_list.h"

namespace volant::torch_ops::VOLANT_ISA {

#define VOLANT_TEXT(x) VOLANT_TEXT_INNER(x)
#define VOLANT_TEXT_INNER(x) #x
const Kernels kTable = {VOLANT_TEXT(VOLANT_ISA),
                        convert,
                        add,
                        embed,
                        take_rows,
                        scatter_add,
                        rms_norm,
                        rms_norm_backward,
                        layer_norm,
                        layer_norm_backward,
                        rope,
                        silu_mul,
                        silu_mul_backward,
                        gelu_mul,
                        gelu_mul_backward,
                        softcap,
                        softcap_backward,
                        scale,
                        add_bias,
                        add_rows,
                        copy_columns,
                        pack_panels,
                        pack_both,
                        turn,
                        pair_product,
                        pair_gradient,
                        finish_logits,
                        unfinish_gradient,
                        loss_rows,
                        distil_rows,
                        attention,
                        attention_backward,
                        adamw,
                        lion,
                        sgd,
                        sum_of_squares};

}  // namespace volant::torch_ops::VOLANT_ISA
