// A tensor's numbers between the order of the model text and those of Hugging Face's files and GGUF's: rows
// of whole blocks are moved, numbers only change where the layout says so.
#pragma once
#include <vector>

#include "models/family.h"
#include "tensor/tensor_view.h"

namespace volant {

// A matrix [in, out] as [out, in]. Not for quantised types.
std::vector<std::byte> transposed(const TensorView& view);
// `view` as GGUF holds it, back in Hugging Face's order. kSlice must have been cut out already.
Result<std::vector<std::byte>> from_gguf_layout(const GgufRule& rule, const TensorView& view);
// The other way. kSlice: the slice alone, to be put beside its siblings.
Result<std::vector<std::byte>> to_gguf_layout(const GgufRule& rule, const TensorView& view);
// Part `rule.index` of `rule.count` of a tensor's first axis, and that axis away.
Result<TensorView> slice_of(const GgufRule& rule, const TensorView& whole);

}  // namespace volant
