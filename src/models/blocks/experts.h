// A mixture of experts in place of a feed-forward block (Shazeer et al. 2017; Mixtral, Jiang et al. 2024): a
// router chooses k of E gated feed-forward networks for each row, and each computes only its own rows.
// Qwen2-MoE adds one that every row meets, behind a sigmoid gate.
// T rows, D hidden, F width of an expert, E experts.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "models/experts_fields.h"
#include "models/model.h"

namespace volant {

// What a family calls the parts.
struct ExpertNames {
  const char* block = "mlp.";
  const char *gate = "gate_proj", *up = "up_proj", *down = "down_proj";
};

struct ExpertsText {
  int64_t hidden_size = 0;
  ExpertsFields fields;
  ExpertNames names;
};

template <Ops O>
class Experts {
 public:
  using Act = typename O::Act;
  using Weight = typename O::Weight;

  explicit Experts(const ExpertsText& text)
      : text_(text), experts_(static_cast<size_t>(text.fields.num_experts)) {}

  std::string name() const { return text_.names.block; }

  void visit(const std::string& prefix, const typename Model<O>::Visitor& f) {
    const ExpertsFields& own = text_.fields;
    const double share = static_cast<double>(own.num_experts_per_tok) / static_cast<double>(own.num_experts);
    f(matrix(prefix + "gate.weight", own.num_experts, text_.hidden_size), router_);
    for (size_t e = 0; e < experts_.size(); ++e)
      visit_mlp(f, prefix + "experts." + std::to_string(e) + ".", own.intermediate_size, share, experts_[e]);
    if (own.shared_intermediate_size == 0) return;
    visit_mlp(f, prefix + "shared_expert.", own.shared_intermediate_size, 1, shared_);
    f(matrix(prefix + "shared_expert_gate.weight", 1, text_.hidden_size), shared_gate_);
  }

  Act operator()(O& ops, const Act& h_TD) const {
    const ExpertsFields& own = text_.fields;
    const typename O::Routing routing = ops.route(
        ops.linear(h_TD, router_),
        {.n_expert = static_cast<int>(own.num_experts),
         .top_k = static_cast<int>(own.num_experts_per_tok),
         .weight = own.norm_topk_prob ? RouteSpec::Weight::kShareOfChosen : RouteSpec::Weight::kShare});
    std::vector<Act> parts(experts_.size());  // nothing of an expert without rows
    for (size_t e = 0; e < experts_.size(); ++e)
      if (const std::span<const int32_t> rows = routing.rows_of(static_cast<int>(e)); !rows.empty())
        parts[e] = mlp(ops, ops.take_rows(h_TD, rows), experts_[e]);
    Act y_TD = ops.combine(parts, routing);
    return own.shared_intermediate_size == 0 ? std::move(y_TD) : ops.add(y_TD, shared(ops, h_TD));
  }

 private:
  struct Mlp {
    Weight gate_proj, up_proj, down_proj;
  };

  void visit_mlp(const typename Model<O>::Visitor& f, const std::string& prefix, int64_t F, double active,
                 Mlp& to) {
    const int64_t D = text_.hidden_size;
    const auto part = [&](TensorSpec spec, Weight& weight) {
      spec.active = active;
      f(spec, weight);
    };
    part(matrix(prefix + text_.names.gate + ".weight", F, D), to.gate_proj);
    part(matrix(prefix + text_.names.up + ".weight", F, D), to.up_proj);
    part(residual_matrix(prefix + text_.names.down + ".weight", D, F), to.down_proj);
  }

  static Act mlp(O& ops, const Act& h_TD, const Mlp& w) {
    return ops.linear(ops.silu_mul(ops.linear(h_TD, w.gate_proj), ops.linear(h_TD, w.up_proj)), w.down_proj);
  }

  // An expert that every row is routed to, with the sigmoid of its gate as weight.
  Act shared(O& ops, const Act& h_TD) const {
    const typename O::Routing everybody = ops.route(
        ops.linear(h_TD, shared_gate_), {.n_expert = 1, .top_k = 1, .weight = RouteSpec::Weight::kSigmoid});
    std::vector<Act> part;
    part.push_back(mlp(ops, h_TD, shared_));
    return ops.combine(part, everybody);
  }

  ExpertsText text_;
  Weight router_, shared_gate_;
  std::vector<Mlp> experts_;
  Mlp shared_;
};

}  // namespace volant
