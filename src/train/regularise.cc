#include "train/regularise.h"

#include <cmath>

#include "base/random.h"
#include "train/optimizer.h"

namespace volant {
namespace {

constexpr double kNoiseDecay = 0.55;

}  // namespace

void add_l1_gradient(const TorchModel& model, double lambda) {
  const auto slope = static_cast<float>(lambda);
  for (const auto& p : model.parameters()) {
    if (!decays(p)) continue;
    for (size_t i = 0; i < p.values.size(); ++i)
      p.gradient[i] += p.values[i] > 0 ? slope : p.values[i] < 0 ? -slope : 0;
  }
}

void add_gradient_noise(const TorchModel& model, double eta, uint64_t seed, uint64_t step) {
  Random random(seed * 0x9E3779B97F4A7C15ULL + step);
  const double deviation = std::sqrt(eta / std::pow(1.0 + static_cast<double>(step), kNoiseDecay));
  for (const auto& p : model.parameters())
    for (float& g : p.gradient) g += static_cast<float>(deviation * random.normal());
}

}  // namespace volant
