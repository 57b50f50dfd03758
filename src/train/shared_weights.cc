#include "train/shared_weights.h"

#include <algorithm>
#include <utility>

namespace volant {

SharedWeights::SharedWeights(TorchModel& model, const Ranks& ranks)
    : model_(model),
      ranks_(ranks),
      parts_(model, ranks, TorchModel::Of::kValues),
      groups_(model.groups().size()),
      idle_(groups_.size() - 1) {
  for (size_t group = 0; group < groups_.size(); ++group)
    bytes_ += parts_.own(group).size_bytes() + parts_.bytes_of_others(group);
  drop();
  most_bytes_ = bytes_;
  model.on_weights({.need = [this](size_t group, bool backward) { need(group, backward); },
                    .done = [this](size_t layer) { idle_ = layer; }});
}

SharedWeights::~SharedWeights() { model_.on_weights({}); }

void SharedWeights::need(size_t group, bool backward) {
  const size_t n_layers = groups_.size() - 1;
  if (idle_ != n_layers && idle_ != group && group != n_layers) drop(std::exchange(idle_, n_layers));
  start(group);
  if (group == n_layers) {
    if (n_layers > 0) start(0);
  } else if (backward ? group > 0 : group + 1 < n_layers) {
    start(backward ? group - 1 : group + 1);
  }
  finish(group);
}

void SharedWeights::start(size_t group) {
  Group& g = groups_[group];
  if (g.here != Here::kPart) return;
  g.here = Here::kComing;
  parts_.bring(group);
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const auto [first, last] = stretch_of(values(group).size(), rank, ranks_.size());
    g.coming.push_back(ranks_.start_copy_from(rank, values(group).subspan(first, last - first)));
  }
  bytes_ += parts_.bytes_of_others(group);
  most_bytes_ = std::max(most_bytes_, bytes_);
}

void SharedWeights::finish(size_t group) {
  Group& g = groups_[group];
  if (g.here != Here::kComing) return;
  for (Ranks::Pending& part : g.coming)
    if (Status done = part.wait(); !done && failed_) failed_ = std::move(done);
  g.coming.clear();
  g.here = Here::kWhole;
  model_.values_came(group);
}

void SharedWeights::drop(size_t group) {
  Group& g = groups_[group];
  if (g.here == Here::kPart) return;
  finish(group);
  g.here = Here::kPart;
  bytes_ -= parts_.bytes_of_others(group);
  parts_.drop(group);
  model_.drop_copies(group);
}

void SharedWeights::drop() {
  idle_ = groups_.size() - 1;
  for (size_t group = 0; group < groups_.size(); ++group) drop(group);
}

Status SharedWeights::gather_on_first() {
  const uint64_t in_passes = most_bytes_;
  for (size_t group = 0; group < groups_.size(); ++group) {
    start(group);
    finish(group);
    if (!ranks_.first()) drop(group);
  }
  idle_ = groups_.size() - 1;
  most_bytes_ = in_passes;
  return take_failure();
}

uint64_t SharedWeights::take_most_bytes() { return std::exchange(most_bytes_, bytes_); }

}  // namespace volant
