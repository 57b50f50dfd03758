#include "train/optimizer.h"

#include <cmath>

#include "ops/torch/kernels.h"

namespace volant {
namespace {

class OneMoment final : public Optimizer {
 public:
  OneMoment(const TorchModel& model, OneMomentRule rule)
      : model_(model), rule_(std::move(rule)), m_(zero_moments(model)) {}

  void step(TorchModel& model, int64_t /*step*/, double lr, double gradient_scale) override {
    for (size_t i = 0; i < m_.size(); ++i) rule_(model.parameters()[i], m_[i].data(), lr, gradient_scale);
    model.weights_changed();
  }

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    add_slots("m", model_, m_, slots);
    return slots;
  }

 private:
  const TorchModel& model_;
  OneMomentRule rule_;
  Moments m_;
};

}  // namespace

std::unique_ptr<Optimizer> one_moment_optimizer(const TorchModel& model, OneMomentRule rule) {
  return std::make_unique<OneMoment>(model, std::move(rule));
}

std::unique_ptr<Optimizer> make_optimizer(const TrainJob& job, const TorchModel& model) {
  if (job.optimizer == "lion") return make_lion(job, model);
  if (job.optimizer == "sgd") return make_sgd(job, model);
  if (job.optimizer == "adafactor") return make_adafactor(job, model);
  if (job.optimizer == "muon") return make_muon(job, model);
  return make_adamw(job, model);
}

double gradient_norm(const TorchModel& model) {
  double squares = 0;
  for (const auto& p : model.parameters())
    squares +=
        torch_ops::kernels().sum_of_squares(p.gradient.data(), static_cast<int64_t>(p.gradient.size()));
  return std::sqrt(squares);
}

Moments zero_moments(const TorchModel& model) {
  Moments moments;
  for (const auto& p : model.parameters()) moments.emplace_back(p.values.size());
  return moments;
}

void add_slots(const char* name, const TorchModel& model, Moments& moments,
               std::vector<Optimizer::Slot>& slots) {
  for (size_t i = 0; i < moments.size(); ++i) {
    if (moments[i].empty()) continue;
    slots.push_back({std::string(name) + "." + model.kept()[i].spec.name, moments[i]});
  }
}

}  // namespace volant
