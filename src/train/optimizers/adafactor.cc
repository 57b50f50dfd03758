// Adafactor without momentum and with the schedule's own rate: the mean square of each row and each column of
// a matrix stands for all its second moments; updates are clipped to a root mean square of one.
#include <cmath>

#include "train/optimizer.h"

namespace volant {
namespace {

constexpr double kDecayPower = 0.8;   // beta2 of step t is 1 - t^-0.8
constexpr double kEps = 1e-30;        // added to squared gradients
constexpr double kClipThreshold = 1;  // of the update's root mean square

class Adafactor final : public Optimizer {
 public:
  Adafactor(const TrainJob& job, const Parameters& parameters) : job_(job), parameters_(parameters) {
    for (const auto& p : parameters) {
      const bool is_matrix = p.spec.shape.size() == 2;
      rows_.emplace_back(is_matrix ? static_cast<size_t>(p.spec.shape[0]) : p.values.size());
      columns_.emplace_back(is_matrix ? static_cast<size_t>(p.spec.shape[1]) : 0);
    }
  }

  void step(TorchModel& model, int64_t step, double lr, double gradient_scale) override {
    const double beta2 = 1 - std::pow(static_cast<double>(step + 1), -kDecayPower);
    for (size_t i = 0; i < rows_.size(); ++i) {
      const auto& p = parameters_[i];
      for (float& g : p.gradient) g *= static_cast<float>(gradient_scale);
      if (columns_[i].empty()) {
        divide_vector(p.gradient, rows_[i], beta2);
      } else {
        divide_matrix(p.gradient, rows_[i], columns_[i], beta2);
      }
      apply(p, lr);
    }
    model.weights_changed();
  }

  std::vector<Slot> slots() override {
    std::vector<Slot> slots;
    add_slots("row", parameters_, rows_, slots);
    add_slots("column", parameters_, columns_, slots);
    return slots;
  }

 private:
  static void divide_vector(std::span<float> g, std::span<float> second, double beta2) {
    for (size_t i = 0; i < g.size(); ++i) {
      const double square = static_cast<double>(g[i]) * static_cast<double>(g[i]) + kEps;
      second[i] = static_cast<float>(beta2 * static_cast<double>(second[i]) + (1 - beta2) * square);
      g[i] /= std::sqrt(second[i]);
    }
  }

  static void divide_matrix(std::span<float> g, std::span<float> row, std::span<float> column, double beta2) {
    const size_t n_row = row.size(), n_column = column.size();
    std::vector<double> column_sum(n_column);
    double row_mean = 0;
    for (size_t r = 0; r < n_row; ++r) {
      double sum = 0;
      for (size_t c = 0; c < n_column; ++c) {
        const double x = static_cast<double>(g[r * n_column + c]), square = x * x + kEps;
        sum += square;
        column_sum[c] += square;
      }
      row[r] = static_cast<float>(beta2 * static_cast<double>(row[r]) +
                                  (1 - beta2) * sum / static_cast<double>(n_column));
      row_mean += static_cast<double>(row[r]) / static_cast<double>(n_row);
    }
    std::vector<float> by_column(n_column);
    for (size_t c = 0; c < n_column; ++c) {
      column[c] = static_cast<float>(beta2 * static_cast<double>(column[c]) +
                                     (1 - beta2) * column_sum[c] / static_cast<double>(n_row));
      by_column[c] = 1 / std::sqrt(column[c]);
    }
    for (size_t r = 0; r < n_row; ++r) {
      const auto by_row = static_cast<float>(std::sqrt(row_mean / static_cast<double>(row[r])));
      for (size_t c = 0; c < n_column; ++c) g[r * n_column + c] *= by_row * by_column[c];
    }
  }

  // The gradient holds the update by now.
  void apply(const TorchModel::Parameter& p, double lr) const {
    double squares = 0;
    for (const float u : p.gradient) squares += static_cast<double>(u) * static_cast<double>(u);
    const double rms = std::sqrt(squares / static_cast<double>(p.gradient.size()));
    const auto size = static_cast<float>(lr / std::max(1.0, rms / kClipThreshold));
    const auto keep = static_cast<float>(1 - (decays(p) ? lr * job_.weight_decay : 0));
    for (size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] = keep * p.values[i] - size * p.gradient[i];
      p.gradient[i] = 0;
    }
  }

  const TrainJob& job_;
  Parameters parameters_;
  Moments rows_, columns_;  // a vector's second moments are in rows_
};

}  // namespace

std::unique_ptr<Optimizer> make_adafactor(const TrainJob& job, const Parameters& parameters) {
  return std::make_unique<Adafactor>(job, parameters);
}

}  // namespace volant
