// The best approximation of a matrix by a product of two thin ones. O outputs, I inputs, r rank.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace volant::torch_ops {

struct LowRank {
  std::vector<float> a_rI, b_Or;
};

// B A is the matrix of rank r or less with the least sum of squared differences to E (Eckart and Young 1936);
// each row of A is as long as its column of B. 1 <= r <= min(O, I). One eigenvalue problem of the smaller
// side.
LowRank nearest_of_rank(std::span<const float> e_OI, int64_t n_out, int64_t n_in, int64_t r);

}  // namespace volant::torch_ops
