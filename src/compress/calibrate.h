// What a model multiplies its matrices with, seen on texts: the mean square of each input column. A quantiser
// that weighs the error of a column with it keeps the outputs, not the weights, close (the diagonal of the
// layer's Hessian, as in Optimal Brain Damage, LeCun et al. 1989, and llama.cpp's importance matrix).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/checkpoint.h"

namespace volant {

// Hugging Face name of a matrix -> mean square of each of its inputs. Matrices that multiply nothing (an
// embedding that is no head) are not in it.
using Importance = std::map<std::string, std::vector<float>>;

// Runs a language model over the texts (at most 32,768 tokens of them). kInvalidArgument when they give fewer
// than 256 tokens, which says too little.
Result<Importance> collect_importance(const Checkpoint& model, const std::vector<std::string>& texts);

}  // namespace volant
