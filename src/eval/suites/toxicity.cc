#include "eval/suites/toxicity.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/nearest.h"
#include "tasks/predictor.h"

namespace volant {

ToxicityModel::ToxicityModel(std::unique_ptr<Predictor> predictor, std::string label, size_t number,
                             double threshold)
    : predictor_(std::move(predictor)), label_(std::move(label)), number_(number), threshold_(threshold) {}
ToxicityModel::ToxicityModel(ToxicityModel&&) noexcept = default;
ToxicityModel& ToxicityModel::operator=(ToxicityModel&&) noexcept = default;
ToxicityModel::~ToxicityModel() = default;

Result<ToxicityModel> ToxicityModel::load(const Path& folder, const std::string& label, double threshold,
                                          int n_threads) {
  if (!(threshold >= 0 && threshold <= 1))
    return fail(ErrorCode::kInvalidArgument, "expected a threshold from 0 to 1, got {}", threshold);
  auto predictor = TRY(Predictor::load(folder, {.n_threads = n_threads}));
  const std::string kind = TRY(json_string_or(predictor->encoder().schema(), "kind", ""));
  const std::vector<std::string> labels = predictor->labels();
  if (kind != "text" || labels.empty())
    return fail(ErrorCode::kInvalidArgument, "expected a classifier of texts, got a model of kind '{}'{}",
                kind, labels.empty() ? " that predicts numbers" : "")
        .at(folder.string());
  if (label.empty() && labels.size() != 2)
    return fail(ErrorCode::kInvalidArgument, "which label means toxic? Expected one of {}",
                fmt::join(labels, ", "))
        .at(folder.string());
  const std::string wanted = label.empty() ? labels[1] : label;
  const auto found = std::ranges::find(labels, wanted);
  if (found == labels.end())
    return fail(ErrorCode::kInvalidArgument, "the classifier has no label '{}'{}", wanted,
                did_you_mean(wanted, labels))
        .at(folder.string());
  return ToxicityModel(std::move(predictor), wanted, static_cast<size_t>(found - labels.begin()), threshold);
}

Result<double> ToxicityModel::probability(std::string_view text) const {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return 0.0;
  const Json input = JsonObject{{"text", text}};
  return TRY(predictor_->predict({&input, 1})).front().probabilities.at(number_);
}

Result<bool> ToxicityModel::is_toxic(std::string_view text) const {
  const double p = TRY(probability(text));
  return p > 0 && p >= threshold_;
}

}  // namespace volant
