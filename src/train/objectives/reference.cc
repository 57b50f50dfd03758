#include "train/objectives/reference.h"

#include <cmath>

#include "base/digest.h"
#include "base/log.h"
#include "train/model_folder.h"

namespace volant {
namespace {

constexpr uint64_t kMaxFileBytes = 1ULL << 30;
// Values are multiples of 2^-32 and written as whole numbers: what is read is what was written, to the bit.
constexpr double kUnit = 4294967296.0;
constexpr double kMaxLogProb = 1 << 30;

template <class T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::string key_of(const TorchModel& model, const TrainJob& job, const std::vector<PreferenceRow>& train,
                   const std::vector<PreferenceRow>& validation) {
  Sha256 digest;
  digest.update(fmt::format("{} {}\n", job.max_seq_len, trains_in_bf16(job)));
  for (size_t i = 0; i < model.tensors().size(); ++i)
    digest.update(fmt::format("{} {:x}\n", model.tensors()[i].name,
                              hash64(bytes_of(std::span<const float>(model.merged(i))))));
  for (const auto* rows : {&train, &validation}) {
    digest.update(fmt::format("{} rows\n", rows->size()));
    for (const PreferenceRow& row : *rows)
      for (const Example& answer : row.answers)
        digest.update(fmt::format("{:x} {:x}\n", hash64(bytes_of(std::span(answer.ids))),
                                  hash64(bytes_of(std::span(answer.weights)))));
  }
  return digest.finish_hex();
}

JsonArray to_json(const AnswerSums& sums) {
  JsonArray out;
  for (const auto& [first, second] : sums)
    out.push_back(JsonArray{std::llround(first * kUnit), std::llround(second * kUnit)});
  return out;
}

// Nothing when it is not what a run of this program wrote.
std::optional<AnswerSums> sums_from_json(const Json* json, size_t n) {
  if (json == nullptr || !json->is_array() || json->get_array().size() != n) return std::nullopt;
  AnswerSums sums;
  for (const Json& row : json->get_array()) {
    if (!row.is_array() || row.get_array().size() != 2) return std::nullopt;
    std::array<double, 2> pair{};
    for (size_t a = 0; a < 2; ++a) {
      if (!row.get_array()[a].is_int64()) return std::nullopt;
      pair[a] = static_cast<double>(row.get_array()[a].get_int64()) / kUnit;
    }
    sums.push_back(pair);
  }
  return sums;
}

std::optional<ReferenceLogProbs> read_cache(const Path& file, const std::string& key, size_t n_train,
                                            size_t n_validation) {
  const auto text = read_file(file, kMaxFileBytes);
  if (!text) return std::nullopt;
  const auto json = parse_json(*text);
  if (!json || json_string(*json, "key").value_or("") != key) return std::nullopt;
  auto train = sums_from_json(json_find(*json, "train"), n_train);
  auto validation = sums_from_json(json_find(*json, "validation"), n_validation);
  if (!train || !validation) return std::nullopt;
  return ReferenceLogProbs{std::move(*train), std::move(*validation)};
}

Result<AnswerSums> compute(const TorchModel& model, const TrainJob& job,
                           const std::vector<PreferenceRow>& items) {
  std::vector<const PreferenceRow*> rows;
  for (const PreferenceRow& row : items) rows.push_back(&row);
  AnswerSums sums = TRY(answer_log_probs(model, rows, {}, job));
  for (auto& pair : sums)
    for (double& log_p : pair) {
      if (!(std::abs(log_p) < kMaxLogProb))
        return fail(ErrorCode::kInvalidArgument, "the starting model gives an answer a log-probability of {}",
                    log_p);
      log_p = std::round(log_p * kUnit) / kUnit;
    }
  return sums;
}

}  // namespace

Result<ReferenceLogProbs> reference_log_probs(const TorchModel& model, const TrainJob& job,
                                              const std::vector<PreferenceRow>& train,
                                              const std::vector<PreferenceRow>& validation) {
  const Path file = job.folder / "reference.json";
  const std::string key = key_of(model, job, train, validation);
  if (auto cached = read_cache(file, key, train.size(), validation.size())) return std::move(*cached);
  log_info("log-probabilities of the {} answers under the starting model",
           2 * (train.size() + validation.size()));
  ReferenceLogProbs reference;
  reference.train = TRY(compute(model, job, train));
  reference.validation = TRY(compute(model, job, validation));
  TRY(write_file_atomic(file, dump_json(JsonObject{{"key", key},
                                                   {"train", to_json(reference.train)},
                                                   {"validation", to_json(reference.validation)}})));
  return reference;
}

}  // namespace volant
