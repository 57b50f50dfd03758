#include "train/exchange.h"

#include <algorithm>
#include <cmath>

#include "ops/torch/memory.h"
#include "ops/torch/tensor_at.h"

namespace volant {
namespace {

using torch_ops::tensor_at;

constexpr size_t kInFlight = 2;  // layers whose sums are formed while the next gradients are computed

struct Place {
  size_t group = 0, begin = 0;
};

Place place_of(const TorchModel::Parameter& p, std::span<const TorchModel::Group> groups) {
  const auto holds = [&](const TorchModel::Group& g) {
    return p.values.data() >= g.values.data() && p.values.data() < g.values.data() + g.values.size();
  };
  const auto found = std::ranges::find_if(groups, holds);
  return {static_cast<size_t>(found - groups.begin()),
          static_cast<size_t>(p.values.data() - found->values.data())};
}

}  // namespace

Exchange::Exchange(TorchModel& model, const Ranks& ranks, Shard shard)
    : model_(model), ranks_(ranks), shard_(ranks.size() == 1 ? Shard::kNone : shard) {
  parameters_.assign(model.parameters().begin(), model.parameters().end());
  if (ranks.size() == 1) return;
  model.on_gradients([this](size_t group, bool last) {
    const bool each = divides_gradients() && (weights_ || model_.most_passes() > 0);
    if (last || each) start_up_to(group);
  });
  if (shard_ == Shard::kNone) return;
  std::vector<Place> places;
  for (const TorchModel::Parameter& p : parameters_) places.push_back(place_of(p, model.groups()));
  if (shard_ == Shard::kParameters) weights_.emplace(model, ranks);
  if (shard_ >= Shard::kGradients) gradients_.emplace(model, ranks, TorchModel::Of::kGradients);
  for (size_t i = 0; i < places.size(); ++i) {
    TorchModel::Parameter& p = parameters_[i];
    const auto [group, at] = places[i];
    const auto [first, last] = stretch(group, ranks.rank());
    const size_t begin = std::clamp(first, at, at + p.values.size()),
                 end = std::clamp(last, at, at + p.values.size());
    p.begin = begin - at;
    // Where nothing of it is ours, the same place counts from the end of what is.
    const size_t in_own = std::clamp(begin, first, last) - first;
    p.values = own_values(group).subspan(in_own, end - begin);
    p.gradient = own_gradient(group).subspan(in_own, end - begin);
  }
}

std::span<float> Exchange::own_values(size_t group) const {
  if (weights_) return weights_->own(group);
  const auto [first, last] = stretch(group, ranks_.rank());
  return model_.groups()[group].values.subspan(first, last - first);
}

std::span<float> Exchange::own_gradient(size_t group) const {
  if (gradients_) return gradients_->own(group);
  const auto [first, last] = stretch(group, ranks_.rank());
  return model_.groups()[group].gradient.subspan(first, last - first);
}

Exchange::~Exchange() {
  if (ranks_.size() > 1) model_.on_gradients({});
}

void Exchange::start(size_t group) {
  if (gradients_) gradients_->bring(group);
  const std::span<float> all = model_.groups()[group].gradient;
  if (!divides_gradients()) return (void)pending_.emplace_back(group, ranks_.start_sum(all));
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const auto [first, last] = stretch(group, rank);
    pending_.emplace_back(group, ranks_.start_sum_to(rank, all.subspan(first, last - first)));
  }
}

// The order of the backward pass: the last layer first, then the others, then what is in no layer.
void Exchange::start_up_to(size_t group) {
  const size_t n = model_.groups().size();
  const size_t wanted = group + 1 == n ? n : n - 1 - group;
  for (; n_started_ < wanted; ++n_started_) start(n_started_ + 1 == n ? n - 1 : n - 2 - n_started_);
  if (divides_gradients()) finish_all_but(kInFlight);
  if (n_started_ < n) return;
  n_started_ = 0;
  ++n_rounds_;
  // The next pass adds to these gradients.
  if (divides_gradients()) finish_all_but(0);
}

void Exchange::finish_all_but(size_t n_groups) {
  const size_t n = divides_gradients() ? static_cast<size_t>(ranks_.size()) : 1;
  while (pending_.size() > n_groups * n) {
    const size_t group = pending_.front().first;
    for (size_t i = 0; i < n; ++i) {
      if (Status done = pending_.front().second.wait(); !done && failed_) failed_ = std::move(done);
      pending_.pop_front();
    }
    if (gradients_) gradients_->drop(group);
  }
}

void Exchange::clear_foreign_gradients(size_t group) {
  if (gradients_) return gradients_->drop(group);
  const std::span<float> all = model_.groups()[group].gradient;
  const auto [first, last] = stretch(group, ranks_.rank());
  for (const std::span<float> foreign : {all.first(first), all.subspan(last)}) {
    if (foreign.empty()) continue;
    if (model_.groups_go_whole()) {
      tensor_at(torch_backend(), foreign).zero_();
    } else {
      torch_ops::forget(foreign.data(), foreign.size());
    }
  }
}

Status Exchange::finish_gradients() {
  if (ranks_.size() == 1) return {};
  const int64_t rounds = divides_gradients() ? std::max<int64_t>(1, model_.most_passes()) : 1;
  while (n_rounds_ < rounds) {
    if (weights_) {
      TRY(model_.idle_pass(/*trains=*/true));
    } else {
      start_up_to(model_.groups().size() - 1);
    }
  }
  finish_all_but(0);
  n_rounds_ = 0;
  TRY(take_failure());
  return std::exchange(failed_, {});
}

Result<double> Exchange::gradient_norm() const {
  double squares = gradient_squares(parameters_);
  if (shard_ != Shard::kNone) TRY(ranks_.sum({&squares, 1}));
  return std::sqrt(squares);
}

Status Exchange::share_weights() {
  if (shard_ == Shard::kNone) return {};
  if (weights_) {
    for (size_t group = 0; group < model_.groups().size(); ++group) clear_foreign_gradients(group);
    weights_->drop();
    model_.weights_changed();
    return {};
  }
  std::vector<Ranks::Pending> copies;
  for (size_t group = 0; group < model_.groups().size(); ++group) {
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const auto [first, last] = stretch(group, rank);
      copies.push_back(
          ranks_.start_copy_from(rank, model_.groups()[group].values.subspan(first, last - first)));
    }
    clear_foreign_gradients(group);
  }
  Status all;
  for (Ranks::Pending& copy : copies)
    if (Status done = copy.wait(); !done && all) all = std::move(done);
  model_.weights_changed();
  return all;
}

Status Exchange::keep_on_first() {
  TRY(gather_weights());
  if (weights_) model_.weights_changed();
  weights_.reset();
  return {};
}

Status Exchange::gather(std::vector<Optimizer::Slot>& slots, Moments& storage) const {
  if (shard_ == Shard::kNone) return {};
  for (Optimizer::Slot& slot : slots) {
    const torch_ops::Numbers& moments = storage.emplace_back(slot.count, torch_backend());
    const std::span<float> whole{moments.data(), moments.size()};
    if (!slot.values.empty())
      tensor_at(torch_backend(), whole.subspan(slot.begin, slot.values.size()))
          .copy_(tensor_at(torch_backend(), slot.values));
    Ranks::Pending sum = ranks_.start_sum_to(0, whole);  // of pieces among zeros
    TRY(sum.wait());
    slot.values = whole;
    slot.begin = 0;
    if (ranks_.first()) continue;
    slot.values = {};
    storage.pop_back();
  }
  return {};
}

}  // namespace volant
