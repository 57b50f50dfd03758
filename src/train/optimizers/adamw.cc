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
    for (size_t i = 0; i < first_.size(); ++i)
      adamw_step(job_, parameters_[i], first_[i], second_[i], step, lr, gradient_scale,
                 job_.optimizer != "adam");
    model.weights_changed();
  }

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    add_slots("m", parameters_, first_, slots);
    add_slots("v", parameters_, second_, slots);
    return slots;
  }

 private:
  const TrainJob& job_;
  Parameters parameters_;
  Moments first_, second_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const TrainJob& job, const Parameters& parameters) {
  return std::make_unique<AdamW>(job, parameters);
}

}  // namespace volant
