#include "train/parts.h"

#include "ops/torch/memory.h"
#include "ops/torch/tensor_at.h"

namespace volant {
namespace {

using torch_ops::tensor_at;
constexpr size_t kUnit = 16;  // numbers: stretches begin where a cache line does

}  // namespace

std::pair<size_t, size_t> stretch_of(size_t size, int rank, int n_ranks) {
  const size_t units = size / kUnit, n = static_cast<size_t>(n_ranks), r = static_cast<size_t>(rank);
  return {units * r / n * kUnit, units * (r + 1) / n * kUnit};
}

Parts::Parts(TorchModel& model, const Ranks& ranks, TorchModel::Of of)
    : model_(model), ranks_(ranks), of_(of) {
  if (!model.groups_go_whole()) return;
  for (size_t group = 0; group < model.groups().size(); ++group) {
    const std::span<float> mine = stretch(group);
    const torch_ops::Numbers& part = beside_.emplace_back(mine.size(), torch_backend());
    if (!mine.empty())
      tensor_at(torch_backend(), {part.data(), part.size()}).copy_(tensor_at(torch_backend(), mine));
    model.drop_group(group, of);
  }
}

std::span<float> Parts::whole(size_t group) const {
  const TorchModel::Group& g = model_.groups()[group];
  return of_ == TorchModel::Of::kValues ? g.values : g.gradient;
}

std::span<float> Parts::stretch(size_t group) const {
  const auto [first, last] = stretch_of(whole(group).size(), ranks_.rank(), ranks_.size());
  return whole(group).subspan(first, last - first);
}

std::span<float> Parts::own(size_t group) const {
  if (beside_.empty()) return stretch(group);
  return {beside_[group].data(), beside_[group].size()};
}

uint64_t Parts::bytes_of_others(size_t group) const {
  return whole(group).size_bytes() - (beside_.empty() ? own(group).size_bytes() : 0);
}

void Parts::bring(size_t group) {
  if (beside_.empty()) return;
  model_.bring_group(group, of_);
  if (of_ == TorchModel::Of::kValues && !own(group).empty())
    tensor_at(torch_backend(), stretch(group)).copy_(tensor_at(torch_backend(), own(group)));
}

void Parts::drop(size_t group) {
  if (beside_.empty()) {
    const std::span<float> all = whole(group);
    const auto [first, last] = stretch_of(all.size(), ranks_.rank(), ranks_.size());
    torch_ops::forget(all.data(), first);
    torch_ops::forget(all.data() + last, all.size() - last);
    return;
  }
  if (whole(group).data() == nullptr) return;
  if (of_ == TorchModel::Of::kGradients && !own(group).empty())
    tensor_at(torch_backend(), own(group)).add_(tensor_at(torch_backend(), stretch(group)));
  model_.drop_group(group, of_);
}

}  // namespace volant
