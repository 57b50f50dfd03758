// The table of compute kernels and its choice: one table per instruction set, the best one that the processor
// has is taken at start; VOLANT_ISA or force_kernels() names another. Kernels allocate nothing, throw
// nothing, know no threads: the caller splits the work and gives them their part.
//
// Weights come packed in panels of 16 outputs (kernels/pack.h). An output is
// summed over the inputs in one fixed order that does not depend on how many
// rows are computed together: a row gives the same bits alone and in a batch.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "kernels/kv_block.h"
#include "tensor/dtype.h"

namespace volant {

inline constexpr int64_t kPanel = 16;     // outputs in a panel of weights, positions in a panel of keys
inline constexpr int64_t kQ8Block = 32;   // activations that share a scale
inline constexpr int64_t kSumBlock = 16;  // activations of a sum
inline constexpr int64_t kMaxHeadDim = 256;

// y[m, n] = sum over k of x[m, k] w[n, k], for all rows m and the panels [panel_begin, panel_end) of n.
struct MatmulArgs {
  const void* x = nullptr;          // rows as the kernel wants them: f32, bf16 or int8
  const float* x_scales = nullptr;  // int8: one per 32 numbers of a row
  const int32_t* x_sums = nullptr;  // int8: the sum of each 16 numbers of a row
  int64_t x_stride = 0;             // numbers between rows of x
  int64_t n_rows = 0;
  const void* w = nullptr;         // packed panels
  const int64_t* w_at = nullptr;   // of matmul_shifted alone
  const void* w_scales = nullptr;  // quantised: records of scales
  int64_t n_in = 0, n_out = 0;
  int64_t panel_begin = 0, panel_end = 0;
  float* y = nullptr;
  int64_t y_stride = 0;
};

// Attention of some query rows of one sequence and one key/value head, over its cache.
// Row r of head g in the group is at q + r * q_stride + g * kv.head_dim and has position first_pos + r. It
// sees the positions up to its own, and with a window only so many of them; with n_pos it sees the positions
// below n_pos.
struct AttentionArgs {
  const float* q = nullptr;
  int64_t q_stride = 0;
  int64_t n_rows = 0;
  int64_t n_group = 1;                // query heads that share the key/value head
  KvLayout kv = {};                   // the size of heads is its head_dim
  const std::byte* blocks = nullptr;  // of this head; see kv_block.h
  int64_t block_stride = 0;           // bytes from a block to the next
  // Which block holds the positions 64 i to 64 i + 63; null: block i.
  const int32_t* pages = nullptr;
  int64_t first_pos = 0;
  int64_t n_pos = 0;   // 0: causal
  int64_t window = 0;  // 0: none; its own position counts
  float scale = 1;
  float softcap = 0;     // 0: none; otherwise scores become softcap * tanh(score / softcap)
  float* out = nullptr;  // as q
  int64_t out_stride = 0;
  // The block that the caller's next attention begins with, if it has one: it is asked for at the end.
  const std::byte* next = nullptr;

  // The block of the positions from `pos` on, a multiple of 64.
  const std::byte* block(int64_t pos) const {
    return blocks + (pages == nullptr ? pos / kKvBlock : int64_t{pages[pos / kKvBlock]}) * block_stride;
  }
};

class MatmulTable {
 public:
  using Matmul = void (*)(const MatmulArgs&);
  constexpr Matmul operator[](DType dtype) const { return each_[static_cast<size_t>(dtype)]; }
  constexpr Matmul& operator[](DType dtype) { return each_[static_cast<size_t>(dtype)]; }

 private:
  Matmul each_[kDTypes] = {};
};

struct Kernels {
  const char* name;

  // By type of the weights; null for i32. x is f32 for f32 and f16; bf16 for bf16, n_in padded to even; int8
  // for the quantised types, n_in a multiple of their block.
  MatmulTable matmul;

  // The f32 product with weights that are not packed: those of input k for the panels stand side by side from
  // number w_at[k] of w on, and all 16 of the last panel can be read. Of overlapping windows, which would be
  // many copies.
  void (*matmul_shifted)(const MatmulArgs&);
  // n numbers to bf16 (round to nearest even); an odd end is padded with a zero.
  void (*to_bf16)(const float* x, int64_t n, uint16_t* out);
  // n numbers, a multiple of 32, to int8 with a scale for each 32 (largest magnitude / 127) and a sum for
  // each 16.
  void (*quantize_q8)(const float* x, int64_t n, int8_t* out, float* scales, int32_t* sums);

  // One row; the weight counts as weight + offset.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float offset, float* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t n, float eps,
                     float* out);  // one row; bias may be null
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out);
  // gelu(gate) * up, or gelu(gate) when `up` is null; within 3e-7 * (1 + |gate|) of gelu.
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, bool tanh, float* out);
  void (*softcap)(const float* x, int64_t n, float cap, float* out);  // cap * tanh(x / cap)
  void (*scale)(const float* x, int64_t n, float factor, float* out);
  void (*add)(const float* a, const float* b, int64_t n, float* out);
  // Turns the first `n_turned` dimensions of n_head heads of one row, the others are copied; cos and sin hold
  // n_turned / 2 numbers for the row's position.
  void (*rope)(const float* x, int64_t n_head, int64_t head_dim, int64_t n_turned, const float* cos,
               const float* sin, float* out);
  void (*attention)(const AttentionArgs&);

  int64_t (*argmax)(const float* x, int64_t n);  // the first of equals; n > 0
  float (*max)(const float* x, int64_t n);
  // Sum of exp((x - max) * scale), the softmax's denominator; the terms go to `out` unless it is null.
  double (*exp_sum)(const float* x, int64_t n, float max, float scale, float* out);
};

// The table in use. Chosen at the first call.
const Kernels& kernels();
// Tables that this processor can run, "generic" first.
std::span<const Kernels* const> host_kernels();
// Takes the table of that name from now on:
// for tests and measurements. kInvalidArgument names the known ones.
Status force_kernels(std::string_view name);

}  // namespace volant
