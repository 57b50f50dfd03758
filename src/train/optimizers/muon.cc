// Muon: Nesterov momentum of each matrix, made nearly orthogonal by five Newton-Schulz steps. The update of
// an [out, in] matrix is scaled by 0.2 * sqrt(max(out, in)), so that its root mean square is that of an AdamW
// update (Liu et al. 2025) and one rate serves both. Embeddings, the head, norms and biases go by AdamW.
// clang-format off: before the other headers of ATen, which define a CHECK of their own
#include "ops/torch/tensor.h"
// clang-format on
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>

#include <cmath>

#include "train/optimizer.h"

namespace volant {
namespace {

constexpr int kNewtonSchulzSteps = 5;
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;  // of the quintic a x + b x^3 + c x^5

class Muon final : public Optimizer {
 public:
  Muon(const TrainJob& job, const Parameters& parameters)
      : job_(job),
        parameters_(parameters),
        first_(zero_moments(parameters)),
        second_(zero_moments(parameters)) {
    for (size_t i = 0; i < second_.size(); ++i)
      if (is_orthogonalised(parameters_[i])) second_[i] = {};
  }

  void step(TorchModel& model, int64_t step, double lr, double gradient_scale) override {
    for (size_t i = 0; i < first_.size(); ++i) {
      const auto& p = parameters_[i];
      if (is_orthogonalised(p)) {
        orthogonal_step(p, first_[i], lr, gradient_scale, kept_of(p, lr, job_.weight_decay));
        continue;
      }
      adamw_step(job_, p, first_[i], second_[i], step, lr, gradient_scale, /*decoupled=*/true);
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
  static bool is_orthogonalised(const TorchModel::Parameter& p) {
    return p.spec.role == TensorRole::kMatrix && p.spec.shape.size() == 2;
  }

  void orthogonal_step(const TorchModel::Parameter& p, std::span<float> momentum, double lr, double scale,
                       float keep) const {
    const auto mu = static_cast<float>(job_.momentum), gradient_scale = static_cast<float>(scale);
    for (size_t i = 0; i < momentum.size(); ++i) {
      const float g = p.gradient[i] * gradient_scale;
      momentum[i] = mu * momentum[i] + g;
      p.gradient[i] = g + mu * momentum[i];
    }
    const int64_t rows = p.spec.shape[0], columns = p.spec.shape[1];
    const at::Tensor update = orthogonalised(at::from_blob(p.gradient.data(), {rows, columns}, at::kFloat));
    const auto size = static_cast<float>(lr * 0.2 * std::sqrt(static_cast<double>(std::max(rows, columns))));
    const float* u = update.data_ptr<float>();
    for (size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] = keep * p.values[i] - size * u[i];
      p.gradient[i] = 0;
    }
  }

  // The matrix with its singular values near one.
  static at::Tensor orthogonalised(const at::Tensor& matrix) {
    const bool tall = matrix.size(0) > matrix.size(1);
    at::Tensor x = tall ? matrix.t().contiguous() : matrix.clone();
    x = x / (x.norm() + 1e-7);
    for (int i = 0; i < kNewtonSchulzSteps; ++i) {
      const at::Tensor a = at::mm(x, x.t()), b = kB * a + kC * at::mm(a, a);
      x = kA * x + at::mm(b, x);
    }
    return tall ? x.t().contiguous() : x.contiguous();
  }

  const TrainJob& job_;
  Parameters parameters_;
  Moments first_, second_;  // second_ is empty where the momentum is orthogonalised
};

}  // namespace

std::unique_ptr<Optimizer> make_muon(const TrainJob& job, const Parameters& parameters) {
  return std::make_unique<Muon>(job, parameters);
}

}  // namespace volant
