// InfoNCE with in-batch negatives (van den Oord et al. 2018; Gao et al. 2021, SimCSE): each anchor is to be
// nearest to its own positive among all candidates of the batch, by cosine.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace volant {

// anchors [n, D], candidates [m, D], m >= n: candidate i is the positive of anchor i, the rest of them are
// negatives of all. Mean over anchors of -log softmax_j(cos(a_i, c_j) / temperature)[i]; writes the
// derivatives by all numbers.
double contrastive_loss(size_t n_dims, double temperature, std::span<const double> anchors,
                        std::span<const double> candidates, std::span<double> anchor_gradient,
                        std::span<double> candidate_gradient);

// Of each anchor: 1 for the best place of its positive among the candidates, 2 for the second... Equal
// cosines count as before it.
std::vector<int64_t> positive_ranks(size_t n_dims, std::span<const double> anchors,
                                    std::span<const double> candidates);

}  // namespace volant
