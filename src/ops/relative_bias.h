// The learned bias of attention by distance (T5, Raffel et al. 2019): near distances have a bucket each,
// farther ones share buckets in logarithmic steps up to max_distance, all beyond the last. Shared by the
// backends.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace volant {

template <class Weight>
struct RelativeBias {
  const Weight* weight = nullptr;  // [n_bucket, n_head]
  int n_bucket = 32;
  int max_distance = 128;
  bool both_ways = false;  // keys after the query have half of the buckets
};

// The bucket of a key `distance` rows after the query (negative: before it).
inline int64_t relative_bucket(int64_t distance, int64_t n_bucket, int max_distance, bool both_ways) {
  int64_t first = 0;
  if (both_ways) {
    n_bucket /= 2;
    if (distance > 0) first = n_bucket;
    distance = std::abs(distance);
  } else {
    distance = std::max<int64_t>(0, -distance);
  }
  const int64_t exact = n_bucket / 2;
  if (distance < exact) return first + distance;
  // In f32 as the published models were trained: a step that falls on a whole number must fall on the same.
  const auto whole =
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  const float steps = std::log(static_cast<float>(distance) / static_cast<float>(exact)) / whole *
                      static_cast<float>(n_bucket - exact);
  return first + std::min(n_bucket - 1, exact + static_cast<int64_t>(steps));
}

}  // namespace volant
