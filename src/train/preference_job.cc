#include "train/preference_job.h"

#include <algorithm>
#include <array>
#include <vector>

#include "data/job_words.h"
#include "train/job_fields.h"

namespace volant {
namespace {

using Loss = PreferenceJob::Loss;

struct LossName {
  std::string_view name;
  Loss loss;
  double beta;                          // default
  std::vector<std::string> own_fields;  // besides "loss" and "beta"
};

const std::vector<LossName>& losses() {
  static const std::vector<LossName> all = {
      {"dpo", Loss::kDpo, 0.1, {"label_smoothing"}},
      {"ipo", Loss::kIpo, 0.1, {}},
      {"kto", Loss::kKto, 0.1, {"desirable_weight", "undesirable_weight"}},
      {"orpo", Loss::kOrpo, 0.1, {}},
      {"simpo", Loss::kSimpo, 2, {"gamma"}}};
  return all;
}

}  // namespace

std::string PreferenceJob::loss_name() const {
  return std::string(std::ranges::find(losses(), loss, &LossName::loss)->name);
}

Result<PreferenceJob> parse_preference_job(const Json& json) {
  PreferenceJob preference;
  std::string name = "dpo";
  TRY(read_word(json, "loss", job_words("preference.loss"), name));
  const LossName& loss = *std::ranges::find(losses(), name, &LossName::name);
  std::vector<std::string> known = loss.own_fields;
  known.insert(known.end(), {"loss", "beta"});
  TRY(check_keys(json.get_object(), known, " in 'preference' with the loss '" + name + "'"));
  preference.loss = loss.loss;
  preference.beta = loss.beta;
  TRY(read_number(json, "beta", 1e-6, 1000, preference.beta));
  TRY(read_number(json, "gamma", 0, 1000, preference.gamma));
  TRY(read_number(json, "label_smoothing", 0, 0.499, preference.label_smoothing));
  TRY(read_number(json, "desirable_weight", 0, 1000, preference.desirable_weight));
  TRY(read_number(json, "undesirable_weight", 0, 1000, preference.undesirable_weight));
  return preference;
}

}  // namespace volant
