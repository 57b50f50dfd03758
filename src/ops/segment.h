// segment: a part of a model, a layer, as one piece that a backend may treat as a whole. Training asks for it
// (ops/torch/segments.h): it forgets what is inside and makes it again, and learns when the gradients of its
// weights are complete. A backend that does not ask runs the part as it stands.
#pragma once
#include <utility>

namespace volant {

// f(ops, x), with `x` taken by value or const reference. `f` may be copied and called again before the
// backward pass ends: what it refers to lives as long as the batch. Nothing but `x` and weights goes into it.
template <class O, class Act, class F>
Act segment(O& ops, Act x, F&& f) {
  if constexpr (requires { ops.segment(x, f); }) {
    return ops.segment(x, std::forward<F>(f));
  } else {
    return f(ops, std::move(x));
  }
}

}  // namespace volant
