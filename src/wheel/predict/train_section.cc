#include "wheel/predict/train_section.h"

#include <algorithm>

#include "base/nearest.h"
#include "data/job_words.h"

namespace volant::predict {

namespace {
constexpr const char* kLaunch = "launch";
}  // namespace

Result<Launch> launch_of(const PredictSection& section) {
  return parse_launch(TRY(json_string_or(Json(section.train), kLaunch, "")));
}

JsonObject settings_that_count(const PredictSection& section) {
  JsonObject train = section.train;
  for (const char* key : {kLaunch, "shard", "checkpoint_activations"}) train.erase(key);
  return train;
}

Result<JsonObject> training_settings(const PredictSection& section) {
  constexpr const char* kMaxMinutes = "max_minutes";  // a job has max_seconds
  JsonObject job{{"objective", "predict"}, {"task", section.kind}};
  JsonObject predict;
  const auto has = [](const std::vector<std::string>& keys, const std::string& key) {
    return std::ranges::find(keys, key) != keys.end();
  };
  for (const auto& field : section.train) {
    const std::string key(field.key());
    if (has(predict_keys(), key)) {
      predict[key] = field.value();
    } else if (key == kLaunch) {
      if (const auto launch = launch_of(section); !launch)
        return fail(ErrorCode::kInvalidArgument, "launch: {}", launch.error().message);
    } else if (key == kMaxMinutes && field.value().is_number()) {
      job["max_seconds"] = 60 * field.value().to_number<double>();
    } else if (has(job_keys(), key)) {
      job[key] = field.value();
    } else {
      std::vector<std::string> known = job_keys();
      known.insert(known.end(), predict_keys().begin(), predict_keys().end());
      known.insert(known.end(), {kMaxMinutes, kLaunch});
      return fail(ErrorCode::kInvalidArgument, "unknown key '{}'{}", key, did_you_mean(key, known));
    }
  }
  job["predict"] = std::move(predict);
  TRY(check_job_words(Json(job)));
  return job;
}

}  // namespace volant::predict
