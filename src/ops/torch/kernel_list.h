// The kernels of one instruction set, each in the file that is about its kind; what they do is in kernels.h.
#pragma once
#include "ops/torch/kernels.h"

namespace volant::torch_ops::VOLANT_ISA {

// row_kernels.cc
void convert(In x, int64_t n, Out y);
void add(In x, In y, int64_t n, Out sum);
void embed(const float* w_VD, const int32_t* ids, int64_t rows, int64_t columns, Out y);
void take_rows(In x, const int32_t* ids, int64_t rows, int64_t columns, Out y);
void scatter_add(In g, const int32_t* ids, int64_t rows, int64_t columns, float* grad);
void scale(In x, float factor, int64_t n, Out y);
void add_bias(In x, const float* b, int64_t rows, int64_t columns, Out y);
void add_rows(In g, int64_t rows, int64_t columns, float* grad_b);
void copy_columns(In x, int64_t x_columns, int64_t x_begin, int64_t rows, int64_t count, Out y,
                  int64_t y_columns, int64_t y_begin);
void rope(In x, const float* cos_sin, const int32_t* pos, int64_t rows, int n_head, int head_dim,
          int n_turned, bool inverse, Out y);
// pack_kernels.cc
void pack_panels(In x, bool turned, int64_t rows, int64_t columns, int64_t width, uint16_t* to);
void pack_both(const float* w, int64_t n_out, int64_t n_in, PanelsOf by_inputs, PanelsOf by_outputs);
void turn(const void* x, int64_t x_columns, int64_t rows, int64_t columns, void* to);
// norm_kernels.cc
void rms_norm(In x, const float* w, float offset, float eps, int64_t rows, int64_t columns, Out y,
              float* inverse_rms);
void rms_norm_backward(In x, const float* w, float offset, const float* inverse_rms, In g, int64_t rows,
                       int64_t columns, Out grad_x, float* grad_w, float* scratch);
void layer_norm(In x, const float* w, const float* b, float eps, int64_t rows, int64_t columns, Out y,
                float* moments);
void layer_norm_backward(In x, const float* w, const float* moments, In g, int64_t rows, int64_t columns,
                         Out grad_x, float* grad_w, float* grad_b, float* scratch);
// activation_kernels.cc
void silu_mul(In gate, In up, int64_t n, Out y);
void silu_mul_backward(In gate, In up, In g, int64_t n, Out grad_gate, Out grad_up);
void gelu_mul(In gate, In up, bool tanh, int64_t n, Out y);
void gelu_mul_backward(In gate, In up, In g, bool tanh, int64_t n, Out grad_gate, Out grad_up);
void softcap(In x, float cap, int64_t n, Out y);
void softcap_backward(In y, float cap, In g, int64_t n, Out grad_x);
// loss_kernels.cc
void finish_logits(const HeadRows& rows);
void unfinish_gradient(const HeadRows& rows);
void loss_rows(const LossRows& rows);
void distil_rows(const DistilRows& rows);
// attention.cc
void attention(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum);
void attention_backward(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                        In grad_out, Out grad_q, Out grad_k, Out grad_v);
#if defined(__AVX512BF16__)
// pair_attention.cc: attention where in_pairs says so
bool in_pairs(const AttentionShape& shape, In q);
void pair_attention(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum);
void pair_attention_backward(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                             In grad_out, Out grad_q, Out grad_k, Out grad_v);
// pair_products.cc
void pair_product(const PairProduct& product);
void pair_gradient(const PairGradient& gradient);
#else
inline constexpr void (*pair_product)(const PairProduct&) = nullptr;
inline constexpr void (*pair_gradient)(const PairGradient&) = nullptr;
#endif
// step_kernels.cc
void adamw(const AdamWStep& s);
void lion(const LionStep& s);
void sgd(const SgdStep& s);
double sum_of_squares(const float* x, int64_t n);

}  // namespace volant::torch_ops::VOLANT_ISA
