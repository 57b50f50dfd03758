// What training does around the segments of a model (ops/segment.h), which are numbered from 0 in the order
// of the forward pass.
#pragma once
#include <functional>

namespace volant {

struct TorchSegments {
  // Activation checkpointing (Chen et al. 2016): of a segment only its input is kept, and the backward pass
  // computes the rest again.
  bool forget = false;
  // Around the forward pass of a segment, and before its backward pass; may be empty.
  std::function<void(int segment)> before_forward, after_forward, before_backward;
  // In the backward pass, when the weights of the segment and of all after it have their gradients.
  std::function<void(int segment)> after_backward;
};

}  // namespace volant
