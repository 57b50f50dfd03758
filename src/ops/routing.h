// Routing of rows to experts (Shazeer et al. 2017): which experts a row is computed by and how much each
// answer counts. Shared by the backends: the choice and the weights are the same numbers everywhere.
// T rows, E experts, k of them for each row.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace volant {

struct RouteSpec {
  enum class Weight {
    kShare,          // softmax over all experts
    kShareOfChosen,  // softmax over the chosen ones: they add up to one
    kSigmoid,        // of the expert's own logit: an expert that every row meets, behind a gate
  };
  int n_expert = 1, top_k = 1;
  Weight weight = Weight::kShareOfChosen;
};

struct Routing {
  RouteSpec spec;
  std::vector<int32_t> chosen;  // [T, k] experts, the most likely first; the lower number of equals
  std::vector<float> weights;   // [T, k]
  std::vector<int32_t> place;   // [T, k] where the row stands among its expert's rows
  std::vector<std::vector<int32_t>> rows;  // of each expert, ascending

  int64_t n_rows() const { return static_cast<int64_t>(chosen.size()) / spec.top_k; }
  std::span<const int32_t> rows_of(int expert) const { return rows[static_cast<size_t>(expert)]; }
};

// From the router's logits [T, E], row-major.
inline Routing make_routing(std::span<const float> logits_TE, const RouteSpec& spec) {
  const auto n_expert = static_cast<size_t>(spec.n_expert), top_k = static_cast<size_t>(spec.top_k);
  Routing routing{.spec = spec, .chosen = {}, .weights = {}, .place = {}, .rows = {}};
  routing.rows.resize(n_expert);
  std::vector<int32_t> order(n_expert);
  for (size_t t = 0; t * n_expert < logits_TE.size(); ++t) {
    const float* logits = logits_TE.data() + t * n_expert;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + spec.top_k, order.end(), [&](int32_t a, int32_t b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    });
    const size_t n_sum = spec.weight == RouteSpec::Weight::kShare ? n_expert : top_k;
    double total = 0;
    for (size_t i = 0; i < n_sum; ++i)
      total += std::exp(static_cast<double>(logits[order[i]]) - static_cast<double>(logits[order[0]]));
    for (size_t i = 0; i < top_k; ++i) {
      const int32_t expert = order[i];
      const double logit = static_cast<double>(logits[expert]);
      const double weight = spec.weight == RouteSpec::Weight::kSigmoid
                                ? 1 / (1 + std::exp(-logit))
                                : std::exp(logit - static_cast<double>(logits[order[0]])) / total;
      std::vector<int32_t>& rows = routing.rows[static_cast<size_t>(expert)];
      routing.chosen.push_back(expert);
      routing.weights.push_back(static_cast<float>(weight));
      routing.place.push_back(static_cast<int32_t>(rows.size()));
      rows.push_back(static_cast<int32_t>(t));
    }
  }
  return routing;
}

}  // namespace volant
