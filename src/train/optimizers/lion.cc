#include "ops/torch/kernels.h"
#include "train/optimizer.h"

namespace volant {
namespace {

class Lion final : public Optimizer {
 public:
  Lion(const TrainJob& job, const TorchModel& model) : job_(job), model_(model), m_(zero_moments(model)) {}

  void step(TorchModel& model, int64_t /*step*/, double lr, double gradient_scale) override {
    for (size_t i = 0; i < m_.size(); ++i) {
      const auto& p = model.parameters()[i];
      torch_ops::kernels().lion({.n = static_cast<int64_t>(p.values.size()),
                                 .w = p.values.data(),
                                 .g = p.gradient.data(),
                                 .m = m_[i].data(),
                                 .gradient_scale = static_cast<float>(gradient_scale),
                                 .beta1 = static_cast<float>(job_.beta1),
                                 .beta2 = static_cast<float>(job_.beta2),
                                 .lr = static_cast<float>(lr),
                                 .keep = static_cast<float>(1 - (decays(p) ? lr * job_.weight_decay : 0))});
    }
    model.weights_changed();
  }

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    add_slots("m", model_, m_, slots);
    return slots;
  }

 private:
  const TrainJob& job_;
  const TorchModel& model_;
  Moments m_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lion(const TrainJob& job, const TorchModel& model) {
  return std::make_unique<Lion>(job, model);
}

}  // namespace volant
