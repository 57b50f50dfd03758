#include "train/objectives/shares.h"

#include <algorithm>

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
  std::vector<std::vector<double>*> lists;
  for (std::vector<double>& numbers : all) lists.push_back(&numbers);
  TRY(sum_lists(ranks, lists));
  return all;
}

Status sum_lists(const Ranks& ranks, const std::vector<std::vector<double>*>& lists) {
  std::vector<double> flat;
  for (const auto* list : lists) flat.insert(flat.end(), list->begin(), list->end());
  TRY(ranks.sum(flat));
  auto at = flat.begin();
  for (auto* list : lists) {
    std::copy_n(at, list->size(), list->begin());
    at += std::ssize(*list);
  }
  return {};
}

}  // namespace volant
