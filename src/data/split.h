// Split: which of train, validation and test a text belongs to, by the digest of its words alone: the same
// text lands in the same split in every run and in every data set.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace volant {

// Uniform in [0, 1) by the SHA-256 of the text; letter case and white space do not count.
double split_position(std::string_view utf8);
// "test" below test_share, "validation" below test_share + validation_share, else "train".
const char* split_of(double position, double validation_share, double test_share);

// split_of() for all texts; a split with a share above 0 that stayed empty (few texts) takes the text nearest
// to it, as long as training keeps one.
std::vector<const char*> assign_splits(const std::vector<double>& positions, double validation_share,
                                       double test_share);

}  // namespace volant
