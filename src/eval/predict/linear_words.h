// Logistic regression on weighted words, by liblinear (Fan et al. 2008): the model that an encoder of texts
// must be held against. Features are words in lower case (Chinese ones by dictionary) and pairs of
// neighbours, weighted by TF-IDF (log term frequency, smooth inverse document frequency, rows of length one).
// The library is loaded when it is first needed.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace volant {

// Learned from texts with class numbers 0 .. n_classes - 1; probabilities [n, n_classes] of `test`.
// kUnavailable when liblinear is not installed, kInvalidArgument for shapes that do not fit or fewer than two
// classes that occur.
Result<std::vector<double>> linear_words(std::span<const std::string> train, std::span<const int32_t> labels,
                                         int n_classes, std::span<const std::string> test);

}  // namespace volant
