#include <cmath>

#include "ops/torch/kernels.h"
#include "train/optimizer.h"

namespace volant {
namespace {

class AdamW final : public Optimizer {
 public:
  AdamW(const TrainJob& job, const Parameters& parameters)
      : job_(job),
        parameters_(parameters),
        first_(zero_moments(parameters)),
        second_(zero_moments(parameters)) {}

  void step(TorchModel& model, int64_t step, double lr, double gradient_scale) override {
    const double n = static_cast<double>(step + 1);
    const bool decoupled = job_.optimizer != "adam";
    for (size_t i = 0; i < first_.size(); ++i) {
      const auto& p = parameters_[i];
      const double decay = decays(p) ? job_.weight_decay : 0;
      if (!decoupled && decay > 0) add_decay(p, decay / gradient_scale);
      torch_ops::kernels().adamw({.n = static_cast<int64_t>(p.values.size()),
                                  .w = p.values.data(),
                                  .g = p.gradient.data(),
                                  .m = first_[i].data(),
                                  .v = second_[i].data(),
                                  .gradient_scale = static_cast<float>(gradient_scale),
                                  .beta1 = static_cast<float>(job_.beta1),
                                  .beta2 = static_cast<float>(job_.beta2),
                                  .eps = static_cast<float>(job_.eps),
                                  .step_size = static_cast<float>(lr / (1 - std::pow(job_.beta1, n))),
                                  .second_scale = static_cast<float>(1 / (1 - std::pow(job_.beta2, n))),
                                  .keep = static_cast<float>(1 - (decoupled ? lr * decay : 0))});
    }
    model.weights_changed();
  }

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    add_slots("m", parameters_, first_, slots);
    add_slots("v", parameters_, second_, slots);
    return slots;
  }

 private:
  static void add_decay(const TorchModel::Parameter& p, double decay) {
    for (size_t i = 0; i < p.values.size(); ++i) p.gradient[i] += static_cast<float>(decay) * p.values[i];
  }

  const TrainJob& job_;
  Parameters parameters_;
  Moments first_, second_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const TrainJob& job, const Parameters& parameters) {
  return std::make_unique<AdamW>(job, parameters);
}

}  // namespace volant
