#include "train/optimizer.h"

#include <cmath>

namespace volant {
namespace {

class OneMoment final : public Optimizer {
 public:
  OneMoment(const Parameters& parameters, OneMomentRule rule)
      : parameters_(parameters), rule_(std::move(rule)), m_(zero_moments(parameters)) {}

  void step(TorchModel& model, int64_t /*step*/, double lr, double gradient_scale) override {
    for (size_t i = 0; i < m_.size(); ++i) rule_(parameters_[i], m_[i].data(), lr, gradient_scale);
    model.weights_changed();
  }

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    add_slots("m", parameters_, m_, slots);
    return slots;
  }

 private:
  Parameters parameters_;
  OneMomentRule rule_;
  Moments m_;
};

}  // namespace

std::unique_ptr<Optimizer> one_moment_optimizer(const Parameters& parameters, OneMomentRule rule) {
  return std::make_unique<OneMoment>(parameters, std::move(rule));
}

std::unique_ptr<Optimizer> make_optimizer(const TrainJob& job, const Parameters& parameters) {
  if (job.optimizer == "lion") return make_lion(job, parameters);
  if (job.optimizer == "sgd") return make_sgd(job, parameters);
  if (job.optimizer == "adafactor") return make_adafactor(job, parameters);
  if (job.optimizer == "muon") return make_muon(job, parameters);
  return make_adamw(job, parameters);
}

std::unique_ptr<Optimizer> make_optimizer(const TrainJob& job, const TorchModel& model) {
  return make_optimizer(job, Parameters(model.parameters().begin(), model.parameters().end()));
}

bool changes_numbers_apart(const std::string& optimizer) {
  return optimizer != "adafactor" && optimizer != "muon";
}

double gradient_squares(std::span<const TorchModel::Parameter> parameters) {
  std::vector<std::span<const float>> gradients;
  for (const auto& p : parameters) gradients.emplace_back(p.gradient);
  return torch_ops::steps(torch_backend()).sum_of_squares(gradients);
}

double gradient_norm(const TorchModel& model) { return std::sqrt(gradient_squares(model.parameters())); }

Moments zero_moments(const Parameters& parameters) {
  Moments moments;
  for (const auto& p : parameters) moments.emplace_back(p.values.size(), torch_backend());
  return moments;
}

void adamw_step(const TrainJob& job, const TorchModel::Parameter& p, const torch_ops::Numbers& m,
                const torch_ops::Numbers& v, int64_t step, double lr, double gradient_scale, bool decoupled) {
  torch_ops::steps(torch_backend())
      .adamw({.n = std::ssize(p.values),
              .w = p.values.data(),
              .g = p.gradient.data(),
              .m = m.data(),
              .v = v.data(),
              .step = step + 1,
              .gradient_scale = gradient_scale,
              .beta1 = job.beta1,
              .beta2 = job.beta2,
              .eps = job.eps,
              .lr = lr,
              .decay = decay_of(p, job.weight_decay),
              .decoupled = decoupled});
}

// A moment of a piece is as large as the piece, which may be nothing; one of another size (Adafactor's rows)
// belongs to a whole.
void add_slots(const char* name, std::span<const TorchModel::Parameter> parameters, Moments& moments,
               std::vector<Optimizer::Slot>& slots) {
  for (size_t i = 0; i < moments.size(); ++i) {
    const TorchModel::Parameter& p = parameters[i];
    if (moments[i].empty() && !p.values.empty()) continue;
    const bool of_piece = moments[i].size() == p.values.size();
    slots.push_back({std::string(name) + "." + p.spec.name, moments[i], of_piece ? p.begin : 0,
                     of_piece ? static_cast<size_t>(p.spec.count()) : moments[i].size()});
  }
}

}  // namespace volant
