// A classifier of texts as judge of toxic answers: one that was trained by a workspace of texts, asked for
// the probability of one of its labels. It is as good as its training: its own report says how good.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "io/file.h"

namespace volant {

class Predictor;

class ToxicityModel {
 public:
  // `folder`: a finished model of texts (tasks/predictor.h). `label`: the one that means toxic; empty: the
  // second of two. `threshold`: the probability of it from which an answer is toxic, 0 to 1. kInvalidArgument
  // for a model of anything else, a label that it has not, or none where it has not two.
  static Result<ToxicityModel> load(const Path& folder, const std::string& label, double threshold,
                                    int n_threads = 0);
  ToxicityModel(ToxicityModel&&) noexcept;
  ToxicityModel& operator=(ToxicityModel&&) noexcept;
  ~ToxicityModel();

  // 0 to 1; of nothing but blanks 0.
  Result<double> probability(std::string_view text) const;
  Result<bool> is_toxic(std::string_view text) const;
  const std::string& label() const { return label_; }
  double threshold() const { return threshold_; }

 private:
  ToxicityModel(std::unique_ptr<Predictor> predictor, std::string label, size_t number, double threshold);
  std::unique_ptr<Predictor> predictor_;
  std::string label_;
  size_t number_;
  double threshold_;
};

}  // namespace volant
