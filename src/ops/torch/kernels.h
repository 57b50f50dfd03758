// The loops of training that are not matrix products: plain C++ with vector types, built once per instruction
// set (kernel_list.h, with VOLANT_ISA), chosen at start. OpenMP threads; the same number of threads gives the
// same bits. T rows, D columns, H heads, K key/value heads, d head_dim, V vocabulary. No torch in here.
#pragma once
#include <cstdint>

namespace volant::torch_ops {

// Numbers in f32 or bf16, row-major and contiguous.
struct In {
  const void* data = nullptr;
  bool bf16 = false;
};
struct Out {
  void* data = nullptr;
  bool bf16 = false;
};

// Sequences and heads of one attention call.
// q, out and their gradients are [T, H*d]; k, v and theirs [T, K*d]; all but out and its gradient may be
// columns of matrices whose rows have `stride` numbers.
struct AttentionShape {
  const int32_t* seq_begin = nullptr;  // n_seq + 1 row offsets
  int64_t n_seq = 0, n_rows = 0;
  int n_head = 0, n_kv_head = 0, head_dim = 0;
  float scale = 1, softcap = 0;
  int window = 0;
  bool causal = true;  // the meaning of all these: AttentionSpec
  int64_t stride = 0;  // 0: q, k and v are matrices of their own

  // Numbers from row to row.
  int64_t out_stride() const { return int64_t{n_head} * head_dim; }
  int64_t q_stride() const { return stride > 0 ? stride : out_stride(); }
  int64_t kv_stride() const { return stride > 0 ? stride : int64_t{n_kv_head} * head_dim; }
};

// What a head does to one chunk of logits after the product; see LmHead.
struct HeadRows {
  float* logits = nullptr;      // [rows, n_vocab]
  const float* bias = nullptr;  // [n_vocab]; null: none
  float scale = 1, softcap = 0;
  float* capped = nullptr;  // with a softcap: room for the logits, which the gradient needs
  int64_t rows = 0, n_vocab = 0;
  Out grad;  // by the finished logits, becomes that by the product
};

// What the loss takes from one chunk of logits.
struct LossRows {
  Out logits;  // [rows, n_vocab]; overwritten if f32
  int64_t rows = 0, n_vocab = 0;
  const int32_t* targets = nullptr;
  const float* weights = nullptr;
  double* loss = nullptr;  // [rows]: weight * -log p(target), with the two terms below
  // The target counts 1 - label_smoothing, all words together label_smoothing (Szegedy et al. 2016); z_loss *
  // log(Z)^2 keeps the softmax's denominator Z near one (PaLM, Chowdhery et al. 2022).
  float label_smoothing = 0, z_loss = 0;
  // Of the sum of losses times `scale`, [rows, n_vocab]; may be where the logits are, in one type. Null: not
  // wanted.
  Out grad;
  float scale = 1;
};

// What a student takes from one chunk of its own and of its teacher's logits (Hinton, Vinyals, Dean 2015), at
// temperature T: soft = T^2 KL(softmax(teacher / T) || softmax(logits / T)), hard = -log p(target), and the
// gradient of weight * scale * (alpha * soft + (1 - alpha) * hard).
struct DistilRows {
  float* logits = nullptr;   // [rows, n_vocab]
  float* teacher = nullptr;  // [rows, n_vocab]; what top_k leaves out is overwritten
  int64_t rows = 0, n_vocab = 0;
  const int32_t* targets = nullptr;
  const float* weights = nullptr;
  double *hard = nullptr, *soft = nullptr;  // [rows]: times weight
  Out grad;                                 // [rows, n_vocab]; null data: not wanted
  float scale = 1, temperature = 1, alpha = 0.5F;
  int64_t top_k = 0;  // the teacher's distribution is that of its best k words alone; 0: of all
};

// What the sums of a product [m, n] go through before they are stored, in this order.
struct Finish {
  enum class Function { kNone, kGelu, kGeluSlope };
  const float* bias = nullptr;      // [n]: added to each row
  const float* residual = nullptr;  // [m, n]: added
  // kGelu: they become their GELU, and `argument` what they were, unless it is null. kGeluSlope: they are
  // multiplied by the slope of GELU at `argument`.
  Function function = Function::kNone;
  bool tanh = false;         // GELU by the tanh formula
  void* argument = nullptr;  // bf16 [m, n]

  bool does_nothing() const { return bias == nullptr && residual == nullptr && function == Function::kNone; }
};

// C[m, n] = A[m, k] B, or += with `add`. A is bf16 in rows; B lies in panels of `width`, 48 or 64, columns:
// see pack_panels. `sums` has room for C in f32 if k is above kPairDepth and C is bf16 or finished; else it
// may be null.
struct PairProduct {
  const void* a = nullptr;
  const uint16_t* panels = nullptr;
  int64_t m = 0, n = 0, k = 0, width = 0;
  Out c;
  bool add = false;
  Finish finish = {};
  float* sums = nullptr;
};
inline constexpr int64_t kPairDepth = 4096;

// grad[n_out, n_in] += g[rows, n_out]^T x[rows, n_in], both bf16, and grad_bias[n_out] += the sum of g's rows
// unless it is null. `panels` has room for kPairRows rows of x in panels of 48 columns.
struct PairGradient {
  const void *g = nullptr, *x = nullptr;
  int64_t rows = 0, n_out = 0, n_in = 0;
  float* grad = nullptr;
  float* grad_bias = nullptr;
  uint16_t* panels = nullptr;
};
inline constexpr int64_t kPairRows = 2048;

// One AdamW step: w = keep * w - step_size * m / (sqrt(v * second_scale) + eps); gradients become zeros.
struct AdamWStep {
  int64_t n = 0;
  float *w = nullptr, *g = nullptr, *m = nullptr, *v = nullptr;
  float gradient_scale = 1, beta1 = 0, beta2 = 0, eps = 0, step_size = 0, second_scale = 1, keep = 1;
};

// One step of Lion (Chen et al. 2023): w = keep * w - lr * sign(b1 m + (1 - b1) g), m = b2 m + (1 - b2) g.
struct LionStep {
  int64_t n = 0;
  float *w = nullptr, *g = nullptr, *m = nullptr;
  float gradient_scale = 1, beta1 = 0, beta2 = 0, lr = 0, keep = 1;
};

// One step of gradient descent: m = momentum * m + g; w = keep * w - lr * (nesterov ? g + momentum * m : m).
struct SgdStep {
  int64_t n = 0;
  float *w = nullptr, *g = nullptr, *m = nullptr;
  float gradient_scale = 1, momentum = 0, lr = 0, keep = 1;
  bool nesterov = false;
};

// Room for a factor in panels of so many columns: see pack_panels.
struct PanelsOf {
  uint16_t* data = nullptr;
  int64_t width = 0;
};

struct Kernels {
  const char* isa;
  void (*convert)(In x, int64_t n, Out y);
  void (*add)(In x, In y, int64_t n, Out sum);
  void (*embed)(const float* w_VD, const int32_t* ids, int64_t rows, int64_t columns, Out y);
  void (*take_rows)(In x, const int32_t* ids, int64_t rows, int64_t columns, Out y);
  // grad[ids[t]] += g[t]
  void (*scatter_add)(In g, const int32_t* ids, int64_t rows, int64_t columns, float* grad);
  // The weight counts as w + offset.
  void (*rms_norm)(In x, const float* w, float offset, float eps, int64_t rows, int64_t columns, Out y,
                   float* inverse_rms);
  // Adds to grad_w unless it is null; `scratch` holds threads * columns numbers.
  void (*rms_norm_backward)(In x, const float* w, float offset, const float* inverse_rms, In g, int64_t rows,
                            int64_t columns, Out grad_x, float* grad_w, float* scratch);
  // moments: [rows, 2], mean and 1 / standard deviation. b may be null.
  void (*layer_norm)(In x, const float* w, const float* b, float eps, int64_t rows, int64_t columns, Out y,
                     float* moments);
  // Adds to grad_w and grad_b, each unless it is null; `scratch` holds 2 * threads * columns numbers.
  void (*layer_norm_backward)(In x, const float* w, const float* moments, In g, int64_t rows, int64_t columns,
                              Out grad_x, float* grad_w, float* grad_b, float* scratch);
  // cos_sin: [positions, n_turned] of which the first half is cos, the second sin. `inverse` turns back.
  void (*rope)(In x, const float* cos_sin, const int32_t* pos, int64_t rows, int n_head, int head_dim,
               int n_turned, bool inverse, Out y);
  void (*silu_mul)(In gate, In up, int64_t n, Out y);
  void (*silu_mul_backward)(In gate, In up, In g, int64_t n, Out grad_gate, Out grad_up);
  // y = gelu(x) * up, and its gradients; null data of `up` and grad_up: no up.
  void (*gelu_mul)(In x, In up, bool tanh, int64_t n, Out y);
  void (*gelu_mul_backward)(In x, In up, In g, bool tanh, int64_t n, Out grad_x, Out grad_up);
  void (*softcap)(In x, float cap, int64_t n, Out y);
  void (*softcap_backward)(In y, float cap, In g, int64_t n, Out grad_x);
  void (*scale)(In x, float factor, int64_t n, Out y);
  void (*add_bias)(In x, const float* b, int64_t rows, int64_t columns, Out y);
  // grad_b[i] += sum over rows of g[t, i]
  void (*add_rows)(In g, int64_t rows, int64_t columns, float* grad_b);
  // y[t, y_begin + i] = x[t, x_begin + i] for i < count; x and y of one type with so many columns.
  void (*copy_columns)(In x, int64_t x_columns, int64_t x_begin, int64_t rows, int64_t count, Out y,
                       int64_t y_columns, int64_t y_begin);
  // x[rows, columns], or given as [columns, rows] when `turned`, in panels of 32 rows and `width` columns (a
  // multiple of 16): one panel is [16, width, 2], two neighbours of a column beside each other, in bf16;
  // first all panels of the first columns. What is beyond the matrix is zero.
  void (*pack_panels)(In x, bool turned, int64_t rows, int64_t columns, int64_t width, uint16_t* to);
  // A weight w[n_out, n_in] as both factors that it is, W^T with a panel's rows `by_inputs` and W, from one
  // reading.
  void (*pack_both)(const float* w, int64_t n_out, int64_t n_in, PanelsOf by_inputs, PanelsOf by_outputs);
  // to[columns, rows] = x[rows, columns] turned round, both bf16; x has rows of `x_columns`.
  void (*turn)(const void* x, int64_t x_columns, int64_t rows, int64_t columns, void* to);
  // Products of bf16 pairs; null where the processor has no instruction for them.
  void (*pair_product)(const PairProduct& product);
  void (*pair_gradient)(const PairGradient& gradient);
  void (*finish_logits)(const HeadRows& rows);      // bias, scale and softcap
  void (*unfinish_gradient)(const HeadRows& rows);  // through softcap and scale
  void (*loss_rows)(const LossRows& rows);
  void (*distil_rows)(const DistilRows& rows);
  // log_sum: [T, H], natural logarithm of the softmax's denominator.
  void (*attention)(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum);
  void (*attention_backward)(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                             In grad_out, Out grad_q, Out grad_k, Out grad_v);
  void (*adamw)(const AdamWStep& step);
  void (*lion)(const LionStep& step);
  void (*sgd)(const SgdStep& step);
  double (*sum_of_squares)(const float* x, int64_t n);
};

// The best set that this processor runs; VOLANT_TRAIN_ISA=generic|avx2|avx512 forces a
// lesser one.
const Kernels& kernels();
// Threads of all loops and products; 0: one for each core this process may use.
void set_thread_count(int threads);
int thread_count();
// Whether bf16 products are native here.
bool has_bf16();
// Whether kernels().pair_product is the way to make them: not where the processor multiplies whole tiles
// (AMX), which oneDNN knows how to do.
bool multiplies_pairs();

namespace generic {
extern const Kernels kTable;
}
namespace avx2 {
extern const Kernels kTable;
}
namespace avx512 {
extern const Kernels kTable;
}
namespace avx512_bf16 {
extern const Kernels kTable;
}

}  // namespace volant::torch_ops
