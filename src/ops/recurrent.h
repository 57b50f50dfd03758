// Sequences among activations: what the recurrent operations and those from a sequence to one row must know.
#pragma once
#include <cstdint>

namespace volant {

// PyTorch's equations and order of gates, with s the sigmoid, x the gates' part from the input (its bias
// included) and h' = h w^T + b, for a row with h from the row before it (zeros before the first).
//   LSTM (Hochreiter and Schmidhuber 1997; [i, f, g, o]):
//     c = s(x_f + h'_f) * c + s(x_i + h'_i) * tanh(x_g + h'_g);  h = s(x_o + h'_o) * tanh(c)
//   GRU (Cho et al. 2014; [r, z, n]):
//     z = s(x_z + h'_z);  n = tanh(x_n + s(x_r + h'_r) * h'_n);  h = (1 - z) * n + z * h
struct RecurrentSpec {
  enum class Kind { kLstm, kGru };
  Kind kind = Kind::kLstm;
  int64_t units = 0;
  bool backwards = false;  // from the last row of a sequence to its first

  int64_t n_gates() const { return kind == Kind::kLstm ? 4 : 3; }
};

// How the rows of a sequence become one, column by column.
enum class RowPool { kMean, kMax, kLast };

}  // namespace volant
