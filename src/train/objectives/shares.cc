#include "train/objectives/shares.h"

namespace volant {

Result<std::vector<std::vector<double>>> in_turn(
    const Ranks& ranks, TorchModel& model, size_t n, const std::function<size_t(size_t i)>& n_numbers,
    const std::function<Result<std::vector<double>>(size_t i)>& compute) {
  const auto size = static_cast<size_t>(ranks.size()), rank = static_cast<size_t>(ranks.rank());
  std::vector<std::vector<double>> all(n);
  for (size_t i = 0; i < n; ++i) {
    if (i % size == rank) {
      all[i] = TRY(compute(i));
    } else {
      all[i].resize(n_numbers(i));
    }
  }
  // The last round may leave some without a pass.
  if (model.weights_are_shared() && n % size != 0 && rank >= n % size) TRY(model.idle_pass(/*trains=*/false));
  for (std::vector<double>& numbers : all) TRY(ranks.sum(numbers));
  return all;
}

}  // namespace volant
