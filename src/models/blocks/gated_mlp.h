// The gated feed-forward block (Shazeer 2020: SwiGLU, GeGLU): down(act(gate(h)) * up(h)), under the names
// "gate_proj", "up_proj", "down_proj" or the fused "gate_up_proj". D hidden, F intermediate.
#pragma once
#include <string>
#include <utility>

#include "models/blocks/linear.h"

namespace volant {

struct GatedMlpText {
  enum class Activation { kSilu, kGeluTanh };
  int64_t hidden_size = 0, intermediate_size = 0;
  Activation activation = Activation::kSilu;
  bool bias = false;
  bool fused = false;  // gate and up are rows of one matrix, gate first
};

template <Ops O>
class GatedMlp {
 public:
  using Act = typename O::Act;

  explicit GatedMlp(const GatedMlpText& text)
      : text_(text), gate_or_both_(text.bias), up_(text.bias), down_(text.bias) {}

  std::string name() const { return "mlp."; }

  void visit(const std::string& prefix, const typename Model<O>::Visitor& f) {
    const int64_t D = text_.hidden_size, F = text_.intermediate_size;
    if (text_.fused) {
      gate_or_both_.visit(matrix(prefix + "gate_up_proj.weight", 2 * F, D), f);
    } else {
      gate_or_both_.visit(matrix(prefix + "gate_proj.weight", F, D), f);
      up_.visit(matrix(prefix + "up_proj.weight", F, D), f);
    }
    down_.visit(residual_matrix(prefix + "down_proj.weight", D, F), f);
  }

  Act operator()(O& ops, const Act& h_TD) const {
    if (!text_.fused) return down_(ops, gated(ops, gate_or_both_(ops, h_TD), up_(ops, h_TD)));
    const int64_t F = text_.intermediate_size;
    const Act both = gate_or_both_(ops, h_TD);
    return down_(ops, gated(ops, ops.take_columns(both, 0, F), ops.take_columns(both, F, F)));
  }

 private:
  // The gate is given up: what takes its place can stand in its memory.
  Act gated(O& ops, Act gate_TF, const Act& up_TF) const {
    return text_.activation == GatedMlpText::Activation::kSilu
               ? ops.silu_mul(std::move(gate_TF), up_TF)
               : ops.gelu_mul(std::move(gate_TF), up_TF, Gelu::kTanh);
  }

  GatedMlpText text_;
  Linear<O> gate_or_both_, up_, down_;
};

}  // namespace volant
